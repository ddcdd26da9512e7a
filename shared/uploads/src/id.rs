gristmill_core::id! {
    /// An upload. Of version 7: sorted by time of creation.
    pub struct UploadId(uuid::Uuid);
}
