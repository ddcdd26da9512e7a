//! The page's words.

use crate::Language;

/// The page's words in one language.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) number: &'static str,
    /// What is still to be paid.
    pub(super) amount: &'static str,
    /// What was billed, where that is more.
    pub(super) total: &'static str,
    pub(super) paid: &'static str,
    /// What was paid beyond the bill.
    pub(super) overpaid: &'static str,
    pub(super) due: &'static str,
    /// The due date has passed.
    pub(super) overdue: &'static str,
    /// Nobody is paid by it.
    pub(super) sample: &'static str,
    pub(super) issued: &'static str,
    pub(super) payer: &'static str,
    pub(super) beneficiary: &'static str,
    pub(super) description: &'static str,
    pub(super) reference: &'static str,
    pub(super) pix: Instructions,
    pub(super) epc: Instructions,
    pub(super) iban: &'static str,
    pub(super) creditor_reference: &'static str,
    pub(super) slip: &'static str,
    pub(super) other: Instructions,
    /// Nothing is to be paid: it was.
    pub(super) settled: Instructions,
    /// Nothing is to be paid: it was withdrawn.
    pub(super) cancelled: Instructions,
}

/// How to pay.
pub(super) struct Instructions {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) code: &'static str,
}

pub(super) fn of(language: Language) -> &'static Words {
    match language {
        Language::Portuguese => &PORTUGUESE,
        Language::English => &ENGLISH,
        Language::Spanish => &SPANISH,
    }
}

static PORTUGUESE: Words = Words {
    title: "Fatura",
    number: "Nº",
    amount: "Valor a pagar",
    total: "Valor da fatura",
    paid: "Pago",
    overpaid: "Pago a mais",
    due: "Vencimento",
    overdue: "Vencida",
    sample: "AMOSTRA",
    issued: "Emissão",
    payer: "Pagador",
    beneficiary: "Beneficiário",
    description: "Descrição",
    reference: "Referência",
    pix: Instructions {
        title: "Pague com Pix",
        text: "Abra o aplicativo do seu banco, escolha Pix e leia o QR code. Ou copie o código abaixo e cole em Pix copia e cola.",
        code: "Pix copia e cola",
    },
    epc: Instructions {
        title: "Pague por transferência SEPA",
        text: "Leia o QR code com o aplicativo do seu banco, ou transfira o valor informando a referência abaixo.",
        code: "",
    },
    iban: "IBAN",
    creditor_reference: "Referência",
    slip: "Boleto: pague em qualquer banco, aplicativo ou lotérica, pelo código de barras ou pela linha digitável.",
    other: Instructions {
        title: "Como pagar",
        text: "Combine a forma de pagamento com o beneficiário e informe o número desta fatura.",
        code: "",
    },
    settled: Instructions { title: "Paga", text: "Esta fatura está paga. Não pague novamente.", code: "" },
    cancelled: Instructions {
        title: "Cancelada",
        text: "Esta fatura foi cancelada pelo beneficiário. Não há nada a pagar.",
        code: "",
    },
};

static ENGLISH: Words = Words {
    title: "Bill",
    number: "No.",
    amount: "Amount due",
    total: "Bill amount",
    paid: "Paid",
    overpaid: "Overpaid by",
    due: "Due date",
    overdue: "Overdue",
    sample: "SAMPLE",
    issued: "Issued",
    payer: "Billed to",
    beneficiary: "Payable to",
    description: "Description",
    reference: "Reference",
    pix: Instructions {
        title: "Pay with Pix",
        text: "Open your bank's app, choose Pix and scan the QR code. Or copy the code below and paste it as Pix copia e cola.",
        code: "Pix code to paste",
    },
    epc: Instructions {
        title: "Pay by SEPA transfer",
        text: "Scan the QR code with your bank's app, or transfer the amount and give the reference below.",
        code: "",
    },
    iban: "IBAN",
    creditor_reference: "Payment reference",
    slip: "Boleto: pay at any Brazilian bank or in its app, by the barcode or by typing the line of digits.",
    other: Instructions {
        title: "How to pay",
        text: "Please arrange the payment with the payee and give the number of this bill.",
        code: "",
    },
    settled: Instructions { title: "Paid", text: "This bill is paid. Nothing is to be paid any more.", code: "" },
    cancelled: Instructions {
        title: "Cancelled",
        text: "This bill was cancelled by the payee. Nothing is to be paid.",
        code: "",
    },
};

static SPANISH: Words = Words {
    title: "Aviso de cobro",
    number: "N.º",
    amount: "Importe a pagar",
    total: "Importe del aviso",
    paid: "Pagado",
    overpaid: "Pagado de más",
    due: "Vencimiento",
    overdue: "Vencido",
    sample: "MUESTRA",
    issued: "Emisión",
    payer: "Pagador",
    beneficiary: "Beneficiario",
    description: "Concepto",
    reference: "Referencia",
    pix: Instructions {
        title: "Pague con Pix",
        text: "Abra la aplicación de su banco, elija Pix y escanee el código QR. O copie el código de abajo y péguelo en Pix copia e cola.",
        code: "Código Pix para pegar",
    },
    epc: Instructions {
        title: "Pague por transferencia SEPA",
        text: "Escanee el código QR con la aplicación de su banco, o transfiera el importe indicando la referencia de abajo.",
        code: "",
    },
    iban: "IBAN",
    creditor_reference: "Referencia de pago",
    slip: "Boleto: pague en cualquier banco de Brasil o en su aplicación, con el código de barras o la línea de dígitos.",
    other: Instructions {
        title: "Cómo pagar",
        text: "Acuerde el pago con el beneficiario e indique el número de este aviso.",
        code: "",
    },
    settled: Instructions { title: "Pagado", text: "Este aviso está pagado. No pague de nuevo.", code: "" },
    cancelled: Instructions {
        title: "Anulado",
        text: "El beneficiario anuló este aviso. No hay nada que pagar.",
        code: "",
    },
};
