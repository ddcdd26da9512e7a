//! What else people call the columns.

/// For each column words for it in English, Portuguese and Spanish, without what does not count in a name.
pub(crate) const ALIASES: &[&[&str]] = &[
    &["dateofservice", "dos", "datadoservico", "dataatendimento", "datadoatendimento", "fechadeservicio"],
    &[
        "procedure",
        "procedurecode",
        "adacode",
        "cdtcode",
        "cdt",
        "procedimento",
        "codigoprocedimento",
        "codigodoprocedimento",
        "procedimiento",
    ],
    &["quad", "quadrante", "cuadrante"],
    &["group", "groupnumber", "plan", "plangroupnumber", "plano", "grupo", "planogrupo"],
    &["subscriberid", "subscribernumber", "memberid", "beneficiario", "carteirinha", "numerodacarteirinha", "carteira"],
    &["npi", "providerid", "npidoprestador", "npiprestador"],
    &["providerfee", "fee", "fees", "submittedfee", "valorcobrado", "honorarios"],
    &["allowed", "allowedfee", "allowedamount", "valorpermitido", "valoraprovado"],
    &["coinsurance", "cosseguro", "coaseguro"],
    &["copay", "copayment", "coparticipacao", "copago"],
];
