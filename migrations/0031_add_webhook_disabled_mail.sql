-- The client's operator hears of an endpoint that is disabled.
alter table mails drop constraint mails_kind_check;
alter table mails add constraint mails_kind_check check (kind in
    ('bill_new', 'bill_reminder', 'bill_overdue', 'payment_receipt', 'upload_completed', 'upload_failed', 'webhook_disabled'))
    not valid;
