//! What else people call the columns.

/// For each column words for it in English, Portuguese and Spanish, without what does not count in a name.
pub(crate) const ALIASES: &[&[&str]] = &[
    &["identificador", "messageid", "idmensagem", "iddamensagem", "idmensaje"],
    &[
        "datahora",
        "dataehora",
        "criadoem",
        "enviadoem",
        "data",
        "fechahora",
        "fechayhora",
        "datetime",
        "createdat",
        "sentat",
        "time",
        "date",
    ],
    &["texto", "mensagem", "conteudo", "mensaje", "message", "body", "content"],
    &["relatorio", "idrelatorio", "iddorelatorio", "report"],
];
