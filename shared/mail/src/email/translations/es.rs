use super::{Language::Spanish, Page, bill_codes, bill_facts, date, endpoint_facts, file, money, upload_facts};
use crate::{Content, Dun};

const BILL: [&str; 5] = ["Factura", "Importe", "Pagado", "Pendiente", "Vencimiento"];
const CODES: [&str; 3] = ["Línea digitable del boleto", "PIX para copiar y pegar", "Transferencia"];
const UPLOAD: [&str; 6] = ["Registros", "Aceptados", "Rechazados", "Duplicados", "Envío", "en conflicto"];
/// Of one that failed: nothing was accepted.
const FAILED: [&str; 6] = ["Registros", "Válidos, no conservados", "Rechazados", "Duplicados", "Envío", "en conflicto"];
const ENDPOINT: [&str; 4] = ["Falla desde", "Último error", "Sin entregar", "Destino"];

pub(super) fn page(content: &Content) -> Page {
    let (subject, greeting, mut paragraphs) = match content {
        Content::Bill(bill) => (
            format!("Factura {} de {}, vence el {}", bill.number, bill.issuer, date(Spanish, bill.due)),
            format!("Hola, {}:", bill.payer),
            vec![format!("Le enviamos su factura de {}, adjunta en PDF.", bill.issuer)],
        ),
        Content::Dun(Dun::Reminder, bill) => (
            format!("Recordatorio: la factura {} de {} vence el {}", bill.number, bill.issuer, date(Spanish, bill.due)),
            format!("Hola, {}:", bill.payer),
            vec!["Su factura vencerá pronto. Si ya la pagó, no tiene que hacer nada.".to_owned()],
        ),
        Content::Dun(Dun::Overdue, bill) => (
            format!("La factura {} de {} venció el {}", bill.number, bill.issuer, date(Spanish, bill.due)),
            format!("Hola, {}:", bill.payer),
            vec![
                match bill.partly_paid() {
                    None => "Aún no hemos recibido su pago. Si ya lo hizo, no tiene que hacer nada.",
                    Some(_) => {
                        "Su factura aún no está pagada por completo. Si ya pagó el resto, no tiene que hacer nada."
                    }
                }
                .to_owned(),
            ],
        ),
        Content::Receipt(payment, bill) => (
            format!("Pago recibido de la factura {} de {}", bill.number, bill.issuer),
            format!("Hola, {}:", bill.payer),
            vec![
                format!(
                    "Recibimos su pago de {} el {}. Gracias.",
                    money(Spanish, payment.amount),
                    date(Spanish, payment.on)
                ),
                match &payment.rest {
                    None => "La factura está saldada.".to_owned(),
                    Some(rest) => format!("Importe pendiente: {}.", money(Spanish, *rest)),
                },
            ],
        ),
        Content::Completed(upload) => (
            format!("Envío completado: {}", file(upload)),
            "Hola:".to_owned(),
            vec![format!("El archivo {} está completado: todos los registros están contabilizados.", file(upload))],
        ),
        Content::Failed(upload) => (
            format!("Envío fallido: {}", file(upload)),
            "Hola:".to_owned(),
            [format!("El archivo {} ha fallado. No se conservó nada de él.", file(upload))]
                .into_iter()
                .chain(upload.detail.clone())
                .collect(),
        ),
        Content::Disabled(endpoint) => (
            format!("Webhook desactivado: {}", endpoint.url),
            "Hola:".to_owned(),
            vec![
                format!("Su destino {} ha fallado durante cinco días; ya no se le envía nada.", endpoint.url),
                "Cuando vuelva a responder, actívelo y pida que se le reenvíe lo que no recibió.".to_owned(),
            ],
        ),
    };
    if let Content::Bill(bill) | Content::Dun(_, bill) = content
        && let Some((paid, rest)) = bill.partly_paid()
    {
        paragraphs.push(format!("Ya recibimos {}. Importe pendiente: {}.", money(Spanish, paid), money(Spanish, rest)));
    }
    let (facts, codes, closing) = match content {
        Content::Bill(bill) | Content::Dun(_, bill) => {
            (bill_facts(Spanish, bill, BILL), bill_codes(bill, CODES), bill.issuer.clone())
        }
        Content::Receipt(_, bill) => (bill_facts(Spanish, bill, BILL), Vec::new(), bill.issuer.clone()),
        Content::Completed(upload) => (upload_facts(Spanish, upload, UPLOAD), Vec::new(), "Gristmill".to_owned()),
        Content::Failed(upload) => (upload_facts(Spanish, upload, FAILED), Vec::new(), "Gristmill".to_owned()),
        Content::Disabled(endpoint) => {
            (endpoint_facts(Spanish, endpoint, ENDPOINT), Vec::new(), "Gristmill".to_owned())
        }
    };
    Page { subject, greeting, paragraphs, facts, codes, closing }
}
