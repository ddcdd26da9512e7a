use gristmill_core::string_enum;

string_enum! {
    /// What a mail is about.
    #[derive(utoipa::ToSchema)]
    #[schema(as = MailKind)]
    pub enum Kind {
        /// A new bill, to its payer.
        BillNew,
        /// A bill that is due soon, to its payer.
        BillReminder,
        /// A bill that was due, to its payer.
        BillOverdue,
        /// A payment has arrived, to the payer.
        PaymentReceipt,
        /// An upload is completed, to the client's operator.
        UploadCompleted,
        /// An upload has failed, to the client's operator.
        UploadFailed,
        /// A webhook's endpoint has failed for so long that it is disabled, to the client's operator.
        WebhookDisabled,
    }
}

string_enum! {
    /// Where a mail stands.
    #[derive(utoipa::ToSchema)]
    #[schema(as = MailState)]
    pub enum State {
        /// Not sent yet, whatever holds it up; it will be tried again.
        Sending,
        /// The server has said that it has it; or it is kept, where there is no server.
        Sent,
        /// The server does not want it, all attempts are over, or there is nothing to say any more: `last_error` says which.
        Failed,
        /// It was not sent, or was refused, because its address takes no mail.
        Suppressed,
    }
}
