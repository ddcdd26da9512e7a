use std::time::Duration;

use clap::Args;

use super::{
    default_by_clap, parse_bytes,
    range::{held_bytes, some_time},
};

/// What is refused, and how files are cut.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitsConfig {
    /// The largest file, decompressed
    #[arg(long, env = "GRISTMILL_MAX_FILE_BYTES", default_value = "64GiB", value_parser = parse_bytes, value_name = "BYTES")]
    pub max_file_bytes: u64,

    /// The longest record, 1 KiB to 256 MiB; a longer one is rejected, the others of its file are not. The API's value goes with the upload
    #[arg(long, env = "GRISTMILL_MAX_RECORD_BYTES", default_value = "1MiB", value_parser = held_bytes, value_name = "BYTES")]
    pub max_record_bytes: u64,

    /// The most columns a header may have
    #[arg(long, env = "GRISTMILL_MAX_COLUMNS", default_value_t = 256, value_name = "N")]
    pub max_columns: usize,

    /// The largest size at which a file is cut into chunks, each a job, 1 KiB to 256 MiB; a file's first chunks are smaller
    #[arg(long, env = "GRISTMILL_CHUNK_BYTES", default_value = "16MiB", value_parser = held_bytes, value_name = "BYTES")]
    pub chunk_bytes: u64,

    /// Uploads that may be received at the same time by one API process; more are answered 503
    #[arg(long, env = "GRISTMILL_MAX_RECEIVING", default_value_t = 64, value_name = "N")]
    pub max_receiving: usize,

    /// Rejects that are kept per upload; those beyond are counted by reason and not kept. `gristmill limits` sets it per client
    #[arg(long, env = "GRISTMILL_MAX_REJECTS", default_value_t = 1_000_000, value_name = "N")]
    pub max_rejects: u64,

    /// To how many times its size a compressed body may unpack, beyond its first 8 MiB; 0 for no limit. Also per client
    #[arg(long, env = "GRISTMILL_MAX_RATIO", default_value_t = 200, value_name = "N")]
    pub max_ratio: u64,

    /// Decompressed bytes of one client's files that arrive or are being loaded, together. Also per client
    #[arg(long, env = "GRISTMILL_MAX_BYTES_UNDER_WAY", default_value = "128GiB", value_parser = parse_bytes, value_name = "BYTES")]
    pub max_bytes_under_way: u64,

    /// The largest archive or workbook (.zip, .xlsx, .ods): it is on disk until it has arrived whole
    #[arg(long, env = "GRISTMILL_MAX_CONTAINER_BYTES", default_value = "1GiB", value_parser = parse_bytes, value_name = "BYTES")]
    pub max_container_bytes: u64,

    /// Bytes of archives and workbooks that one process has on disk at the same time; more are answered 503
    #[arg(long, env = "GRISTMILL_MAX_SPOOL_BYTES", default_value = "4GiB", value_parser = parse_bytes, value_name = "BYTES")]
    pub max_spool_bytes: u64,

    /// Where they are, as files without a name [default: the system's folder for temporary files]
    #[arg(long, env = "GRISTMILL_SPOOL_DIR", value_name = "FOLDER")]
    pub spool_dir: Option<std::path::PathBuf>,

    /// Resumable uploads (`/v1/tus`) that one client may have begun and not ended; more are answered 429
    #[arg(long, env = "GRISTMILL_MAX_RESUMABLE", default_value_t = 100, value_name = "N")]
    pub max_resumable: u64,

    /// How long what has arrived of a resumable upload is kept after its last byte, and how long it is known what it came to
    #[arg(long, env = "GRISTMILL_KEEP_RESUMABLE", default_value = "1d", value_parser = some_time, value_name = "TIME")]
    pub keep_resumable: Duration,

    /// Whether the check digits of a government id (CPF, CNPJ) are checked where its length says that it has some
    #[arg(long, env = "GRISTMILL_CHECK_GOVERNMENT_ID", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub check_government_id: bool,
}

default_by_clap!(LimitsConfig);
