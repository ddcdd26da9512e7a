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

/// Whether it is a CPF: 11 digits with right check digits, not all the same.
pub(crate) fn is_cpf(id: &str) -> bool {
    let digits = id.as_bytes();
    let same = digits.iter().all(|digit| Some(digit) == digits.first());
    let check =
        |upto: usize| digits[..upto].iter().rev().zip(2..).map(|(digit, weight)| value(*digit) * weight).sum::<u32>();
    digits.len() == 11
        && !same
        && digits.iter().all(u8::is_ascii_digit)
        && [9, 10].iter().all(|&at| check(at) * 10 % 11 % 10 == value(digits[at]))
}

/// Whether it is a CNPJ: 14 places, letters among the first twelve too, with right check digits, not all the same.
pub(crate) fn is_cnpj(id: &str) -> bool {
    let places = id.as_bytes();
    let same = places.iter().all(|place| Some(place) == places.first());
    let weights = || (2..=9).cycle();
    let check = |upto: usize| {
        places[..upto].iter().rev().zip(weights()).map(|(place, weight)| value(*place) * weight).sum::<u32>()
    };
    places.len() == 14
        && !same
        && places.iter().all(|place| place.is_ascii_digit() || place.is_ascii_uppercase())
        && places[12..].iter().all(u8::is_ascii_digit)
        && [12, 13].iter().all(|&at| check(at) * 10 % 11 % 10 == value(places[at]))
}

fn value(place: u8) -> u32 {
    u32::from(place.saturating_sub(b'0'))
}

#[cfg(test)]
mod tests {
    use super::{is_cnpj, is_cpf, read};

    #[test]
    fn check_digits_are_checked() {
        assert!(is_cpf("52998224725") && is_cpf("12345678909"));
        assert!(is_cnpj("11222333000181") && is_cnpj("12ABC34501DE35"));
        for wrong in ["52998224726", "11111111111", "5299822472", "", "5299822472X"] {
            assert!(!is_cpf(wrong), "{wrong}");
        }
        for wrong in ["11222333000180", "12ABC34501DE36", "00000000000000", "12ABC34501DEXX", "1122233300018"] {
            assert!(!is_cnpj(wrong), "{wrong}");
        }
    }

    #[test]
    fn ids_get_their_points() {
        assert_eq!(read("52998224725"), "529.982.247-25");
        assert_eq!(read("12ABC34501DE35"), "12.ABC.345/01DE-35");
        for id in ["9558", "529.982.247-25", "5299822472X", "áé34567", ""] {
            assert_eq!(read(id), id);
        }
    }
}
