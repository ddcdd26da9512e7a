use super::{Language::English, Page, bill_codes, bill_facts, date, endpoint_facts, file, money, upload_facts};
use crate::{Content, Dun};

const BILL: [&str; 5] = ["Bill", "Amount", "Paid", "Still to be paid", "Due on"];
const CODES: [&str; 3] = ["Boleto", "PIX, to copy and paste", "Transfer"];
const UPLOAD: [&str; 6] = ["Records", "Accepted", "Rejected", "Duplicate", "Upload", "conflicting"];
/// Of one that failed: nothing was accepted.
const FAILED: [&str; 6] = ["Records", "Valid, not kept", "Rejected", "Duplicate", "Upload", "conflicting"];
const ENDPOINT: [&str; 4] = ["Failing since", "Last error", "Not delivered", "Endpoint"];

pub(super) fn page(content: &Content) -> Page {
    let (subject, greeting, mut paragraphs) = match content {
        Content::Bill(bill) => (
            format!("Bill {} from {}, due on {}", bill.number, bill.issuer, date(English, bill.due)),
            format!("Hello {},", bill.payer),
            vec![format!("Here is your bill from {}. It is attached as a PDF.", bill.issuer)],
        ),
        Content::Dun(Dun::Reminder, bill) => (
            format!("Bill {} from {} is due on {}", bill.number, bill.issuer, date(English, bill.due)),
            format!("Hello {},", bill.payer),
            vec!["Your bill will soon be due. If you have paid it already, there is nothing to do.".to_owned()],
        ),
        Content::Dun(Dun::Overdue, bill) => (
            format!("Bill {} from {} was due on {}", bill.number, bill.issuer, date(English, bill.due)),
            format!("Hello {},", bill.payer),
            vec![
                match bill.partly_paid() {
                    None => "We have not seen your payment yet. If it is on its way, there is nothing to do.",
                    Some(_) => "Your bill is not paid in full yet. If the rest is on its way, there is nothing to do.",
                }
                .to_owned(),
            ],
        ),
        Content::Receipt(payment, bill) => (
            format!("Payment of bill {} from {} received", bill.number, bill.issuer),
            format!("Hello {},", bill.payer),
            vec![
                format!(
                    "Your payment of {} arrived on {}. Thank you.",
                    money(English, payment.amount),
                    date(English, payment.on)
                ),
                match &payment.rest {
                    None => "The bill is settled.".to_owned(),
                    Some(rest) => format!("Still to be paid: {}.", money(English, *rest)),
                },
            ],
        ),
        Content::Completed(upload) => (
            format!("Upload completed: {}", file(upload)),
            "Hello,".to_owned(),
            vec![format!("The file {} is completed: every record is accounted for.", file(upload))],
        ),
        Content::Failed(upload) => (
            format!("Upload failed: {}", file(upload)),
            "Hello,".to_owned(),
            [format!("The file {} has failed. Nothing of it was kept.", file(upload))]
                .into_iter()
                .chain(upload.detail.clone())
                .collect(),
        ),
        Content::Disabled(endpoint) => (
            format!("Webhook disabled: {}", endpoint.url),
            "Hello,".to_owned(),
            vec![
                format!("Your endpoint {} has failed for five days, so nothing is sent to it any more.", endpoint.url),
                "Once it answers again, enable it, and have what it missed sent again by a replay.".to_owned(),
            ],
        ),
    };
    if let Content::Bill(bill) | Content::Dun(_, bill) = content
        && let Some((paid, rest)) = bill.partly_paid()
    {
        paragraphs.push(format!(
            "We have received {} of it. Still to be paid: {}.",
            money(English, paid),
            money(English, rest)
        ));
    }
    let (facts, codes, closing) = match content {
        Content::Bill(bill) | Content::Dun(_, bill) => {
            (bill_facts(English, bill, BILL), bill_codes(bill, CODES), bill.issuer.clone())
        }
        Content::Receipt(_, bill) => (bill_facts(English, bill, BILL), Vec::new(), bill.issuer.clone()),
        Content::Completed(upload) => (upload_facts(English, upload, UPLOAD), Vec::new(), "Gristmill".to_owned()),
        Content::Failed(upload) => (upload_facts(English, upload, FAILED), Vec::new(), "Gristmill".to_owned()),
        Content::Disabled(endpoint) => {
            (endpoint_facts(English, endpoint, ENDPOINT), Vec::new(), "Gristmill".to_owned())
        }
    };
    Page { subject, greeting, paragraphs, facts, codes, closing }
}
