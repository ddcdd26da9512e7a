use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use gristmill_platform::config::StoreConfig;
use gristmill_platform::store;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

fn config(url: &str) -> StoreConfig {
    StoreConfig { store_url: Some(url.to_owned()), ..StoreConfig::default() }
}

async fn there_and_back(store: &dyn ObjectStore) {
    let key = Path::from("uploads/1/0");
    store.put(&key, PutPayload::from_static(b"a,b\n")).await.unwrap();
    assert_eq!(&store.get(&key).await.unwrap().bytes().await.unwrap()[..], b"a,b\n");
    store.delete(&key).await.unwrap();
    assert!(matches!(store.get(&key).await, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn a_folder_by_path_or_url() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/objects");
    there_and_back(store::open(&config(path.to_str().unwrap())).unwrap().as_ref()).await;
    there_and_back(store::open(&config(&format!("file://{}", path.display()))).unwrap().as_ref()).await;
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "empty folders go with the last object");
    assert!(!store::is_bucket("/somewhere") && !store::is_bucket("here/objects") && store::is_bucket("s3://bucket/x"));
}

#[test]
fn what_is_no_store_is_named() {
    for url in ["ftp://host/x", "s4://bucket"] {
        let error = store::open_with(&config(url), Vec::new()).err().unwrap();
        assert!(error.to_string().contains(url), "{error}");
    }
}

/// The clouds' clients come without the features that would bring a second TLS library: they must work all the same.
#[tokio::test]
async fn a_bucket_is_written_over_http() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let length =
            head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 0\r\n\r\n").unwrap();
        (head, body)
    });
    let options = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let store = store::open_with(&config("s3://bucket/prefix"), options).unwrap();
    store.put(&Path::from("uploads/1/0"), PutPayload::from_static(b"a,b\n")).await.unwrap();
    let (head, body) = server.join().unwrap();
    assert!(head[0].starts_with("PUT /bucket/prefix/uploads/1/0 "), "{head:?}");
    assert!(
        head.iter().any(|line| line.to_ascii_lowercase().starts_with("authorization: aws4-hmac-sha256")),
        "{head:?}"
    );
    assert_eq!(body, b"a,b\n");
}
