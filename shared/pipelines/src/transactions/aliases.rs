//! What else people call the columns.

/// For each column words for it in English, Portuguese and Spanish, without what does not count in a name.
pub(crate) const ALIASES: &[&[&str]] = &[
    &[
        "data",
        "datatransacao",
        "datadatransacao",
        "datalancamento",
        "datadolancamento",
        "fecha",
        "postingdate",
        "transactiondate",
    ],
    &[
        "descricao",
        "titulo",
        "historico",
        "lancamento",
        "estabelecimento",
        "descripcion",
        "concepto",
        "title",
        "memo",
        "descriptor",
        "merchant",
        "payee",
    ],
    &["valor", "montante", "quantia", "importe", "value", "transactionamount"],
    &["moeda", "moneda", "currencycode"],
    &["identificador", "transactionid", "idtransacao", "iddatransacao", "idtransaccion"],
];
