use super::{Language::Portuguese, Page, bill_codes, bill_facts, date, endpoint_facts, file, money, upload_facts};
use crate::{Content, Dun};

const BILL: [&str; 5] = ["Fatura", "Valor", "Pago", "Em aberto", "Vencimento"];
const CODES: [&str; 3] = ["Linha digitável do boleto", "PIX copia e cola", "Transferência"];
const UPLOAD: [&str; 6] = ["Registros", "Aceitos", "Rejeitados", "Duplicados", "Envio", "em conflito"];
/// Of one that failed: nothing was accepted.
const FAILED: [&str; 6] = ["Registros", "Válidos, não mantidos", "Rejeitados", "Duplicados", "Envio", "em conflito"];
const ENDPOINT: [&str; 4] = ["Falhando desde", "Último erro", "Não entregues", "Destino"];

pub(super) fn page(content: &Content) -> Page {
    let (subject, greeting, mut paragraphs) = match content {
        Content::Bill(bill) => (
            format!("Fatura {} de {}, vencimento em {}", bill.number, bill.issuer, date(Portuguese, bill.due)),
            format!("Olá, {},", bill.payer),
            vec![format!("Segue a sua fatura de {}, anexada em PDF.", bill.issuer)],
        ),
        Content::Dun(Dun::Reminder, bill) => (
            format!("Lembrete: a fatura {} de {} vence em {}", bill.number, bill.issuer, date(Portuguese, bill.due)),
            format!("Olá, {},", bill.payer),
            vec!["O vencimento da sua fatura está próximo. Se você já pagou, desconsidere este aviso.".to_owned()],
        ),
        Content::Dun(Dun::Overdue, bill) => (
            format!("A fatura {} de {} venceu em {}", bill.number, bill.issuer, date(Portuguese, bill.due)),
            format!("Olá, {},", bill.payer),
            vec![
                match bill.partly_paid() {
                    None => "Ainda não identificamos o seu pagamento. Se você já pagou, desconsidere este aviso.",
                    Some(_) => "A sua fatura ainda não foi paga por completo. Se você já pagou o restante, desconsidere este aviso.",
                }
                .to_owned(),
            ],
        ),
        Content::Receipt(payment, bill) => (
            format!("Pagamento da fatura {} de {} recebido", bill.number, bill.issuer),
            format!("Olá, {},", bill.payer),
            vec![
                format!(
                    "Recebemos o seu pagamento de {} em {}. Obrigado.",
                    money(Portuguese, payment.amount),
                    date(Portuguese, payment.on)
                ),
                match &payment.rest {
                    None => "A fatura está quitada.".to_owned(),
                    Some(rest) => format!("Valor ainda em aberto: {}.", money(Portuguese, *rest)),
                },
            ],
        ),
        Content::Completed(upload) => (
            format!("Envio concluído: {}", file(upload)),
            "Olá,".to_owned(),
            vec![format!("O arquivo {} foi concluído: todos os registros foram contabilizados.", file(upload))],
        ),
        Content::Failed(upload) => (
            format!("Envio com falha: {}", file(upload)),
            "Olá,".to_owned(),
            [format!("O arquivo {} falhou. Nada dele foi mantido.", file(upload))]
                .into_iter()
                .chain(upload.detail.clone())
                .collect(),
        ),
        Content::Disabled(endpoint) => (
            format!("Webhook desativado: {}", endpoint.url),
            "Olá,".to_owned(),
            vec![
                format!("Seu destino {} falhou por cinco dias; nada mais é enviado a ele.", endpoint.url),
                "Quando ele voltar a responder, ative-o e peça o reenvio do que não chegou.".to_owned(),
            ],
        ),
    };
    if let Content::Bill(bill) | Content::Dun(_, bill) = content
        && let Some((paid, rest)) = bill.partly_paid()
    {
        paragraphs.push(format!(
            "Já recebemos {}. Valor ainda em aberto: {}.",
            money(Portuguese, paid),
            money(Portuguese, rest)
        ));
    }
    let (facts, codes, closing) = match content {
        Content::Bill(bill) | Content::Dun(_, bill) => {
            (bill_facts(Portuguese, bill, BILL), bill_codes(bill, CODES), bill.issuer.clone())
        }
        Content::Receipt(_, bill) => (bill_facts(Portuguese, bill, BILL), Vec::new(), bill.issuer.clone()),
        Content::Completed(upload) => (upload_facts(Portuguese, upload, UPLOAD), Vec::new(), "Gristmill".to_owned()),
        Content::Failed(upload) => (upload_facts(Portuguese, upload, FAILED), Vec::new(), "Gristmill".to_owned()),
        Content::Disabled(endpoint) => {
            (endpoint_facts(Portuguese, endpoint, ENDPOINT), Vec::new(), "Gristmill".to_owned())
        }
    };
    Page { subject, greeting, paragraphs, facts, codes, closing }
}
