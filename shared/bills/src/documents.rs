//! CPF and CNPJ as people read them.

/// With points where an id has the length of a CPF or CNPJ; anything else as it came. Check digits are not looked at.
pub(crate) fn read(id: &str) -> String {
    let template = match (id.len(), id.bytes().all(|byte| byte.is_ascii_digit()), id.is_ascii()) {
        (11, true, _) => "###.###.###-##",
        (14, _, true) if id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => "##.###.###/####-##",
        _ => return id.to_owned(),
    };
    let mut characters = id.chars();
    template.chars().filter_map(|place| if place == '#' { characters.next() } else { Some(place) }).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn ids_get_their_points() {
        assert_eq!(read("52998224725"), "529.982.247-25");
        assert_eq!(read("12ABC34501DE35"), "12.ABC.345/01DE-35");
        for id in ["9558", "529.982.247-25", "5299822472X", "áé34567", ""] {
            assert_eq!(read(id), id);
        }
    }
}
