use async_compression::{
    Level,
    tokio::bufread::{GzipEncoder, ZstdEncoder},
    zstd::CParameter,
};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::support::{Api, api, file, json, problem};

async fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzipEncoder::new(plain).read_to_end(&mut packed).await.unwrap();
    packed
}

async fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    ZstdEncoder::new(plain).read_to_end(&mut packed).await.unwrap();
    packed
}

async fn send(api: &Api, encoding: &str, body: Vec<u8>) -> reqwest::Response {
    api.post("/v1/uploads?kind=debts&force=1").header("content-encoding", encoding).body(body).send().await.unwrap()
}

#[tokio::test]
async fn every_encoding_yields_the_same_file() {
    let api = api().await;
    let plain = file(3_000).into_bytes();
    let expected = json(send(&api, "identity", plain.clone()).await, StatusCode::ACCEPTED).await;
    assert_eq!(expected["bytes"], plain.len());
    // Several members, as parallel compressors write them.
    let (head, tail) = plain.split_at(plain.len() / 3);
    let members = [gzip(head).await, gzip(tail).await].concat();
    let frames = [zstd(head).await, zstd(tail).await].concat();
    for (encoding, body) in
        [("gzip", gzip(&plain).await), ("x-gzip", members), ("zstd", zstd(&plain).await), ("zstd", frames)]
    {
        let upload = json(send(&api, encoding, body).await, StatusCode::ACCEPTED).await;
        assert_eq!((&upload["bytes"], &upload["sha256"]), (&expected["bytes"], &expected["sha256"]), "{encoding}");
    }
}

#[tokio::test]
async fn what_begins_as_compressed_is_unpacked_without_a_word() {
    let api = api().await;
    let plain = file(3_000).into_bytes();
    let expected = json(send(&api, "identity", plain.clone()).await, StatusCode::ACCEPTED).await;
    let raw = async |body: Vec<u8>| api.post("/v1/uploads?kind=debts&force=1").body(body).send().await.unwrap();
    let form = async |file: Vec<u8>| {
        let head = "--xx\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\ndebts\r\n\
                    --xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv.gz\"\r\n\r\n";
        let body = [head.as_bytes(), &file, b"\r\n--xx--\r\n"].concat();
        let request = api.post("/v1/uploads?force=1").header("content-type", "multipart/form-data; boundary=xx");
        request.body(body).send().await.unwrap()
    };
    for packed in [gzip(&plain).await, zstd(&plain).await] {
        for response in [raw(packed.clone()).await, form(packed.clone()).await] {
            let upload = json(response, StatusCode::ACCEPTED).await;
            assert_eq!((&upload["bytes"], &upload["sha256"]), (&expected["bytes"], &expected["sha256"]));
        }
    }

    let twice = gzip(&gzip(&plain).await).await;
    let mixed = zstd(&gzip(&plain).await).await;
    for (response, what) in [
        (raw(twice.clone()).await, "gzip inside of gzip"),
        (form(twice.clone()).await, "gzip inside of gzip"),
        (send(&api, "gzip", twice).await, "gzip inside of gzip"),
        (send(&api, "zstd", mixed.clone()).await, "gzip inside of zstd"),
        (raw(mixed).await, "gzip inside of zstd"),
    ] {
        let found = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(found["type"], "/problems/wrong-format", "{found}");
        assert_eq!(found["detail"], format!("The file is {what}: unpack it once."));
    }
    let found = problem(raw(gzip(&plain).await[..500].to_vec()).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(found["type"], "/problems/corrupt-encoding", "{found}");
}

#[tokio::test]
async fn zeros_behind_gzip_are_padding_and_anything_else_is_damage() {
    let api = api().await;
    let plain = file(3_000).into_bytes();
    let (head, tail) = plain.split_at(plain.len() / 3);
    let packed = [gzip(head).await, gzip(tail).await].concat();
    let with = |behind: &[u8]| [packed.as_slice(), behind].concat();
    for zeros in [1, 512, 300_000] {
        let upload = json(send(&api, "gzip", with(&vec![0; zeros])).await, StatusCode::ACCEPTED).await;
        assert_eq!(upload["bytes"], plain.len(), "{zeros} zeros");
    }
    let hidden = [vec![0; 512], gzip(head).await].concat();
    for behind in [&b"x"[..], b"\0\0x", b"\x1f\x8b", &hidden] {
        let found = problem(send(&api, "gzip", with(behind)).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["type"], "/problems/corrupt-encoding", "{found}");
    }
}

#[tokio::test]
async fn what_is_not_supported_is_said() {
    let api = api().await;
    for encoding in ["br", "gzip, gzip", "gzip, zstd"] {
        let response = send(&api, encoding, gzip(b"x").await).await;
        assert_eq!(response.headers()["accept-encoding"], "gzip, zstd");
        problem(response, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    }
    insta::assert_json_snapshot!(problem(send(&api, "br", vec![]).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await);
}

#[tokio::test]
async fn a_damaged_stream_fails_the_upload() {
    let api = crate::support::api_with(|config| config.limits.chunk_bytes = 64 * 1024).await;
    let plain = file(20_000).into_bytes();
    let gzip = gzip(&plain).await;
    let zstd = zstd(&plain).await;
    let mut corrupt = gzip.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle..middle + 64].fill(0xaa);
    for (encoding, body) in [
        ("gzip", gzip[..gzip.len() * 3 / 4].to_vec()),
        ("gzip", gzip[..gzip.len() - 4].to_vec()),
        ("gzip", corrupt),
        ("zstd", zstd[..zstd.len() * 3 / 4].to_vec()),
    ] {
        let found = problem(send(&api, encoding, body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["type"], "/problems/corrupt-encoding", "{found}");
        assert_eq!(found["upload_id"], "[upload id]", "the header was accepted, so there was an upload");
        let upload = api.newest().await;
        assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("incomplete")));
    }
    let found = problem(send(&api, "gzip", plain).await, StatusCode::BAD_REQUEST).await;
    insta::assert_json_snapshot!(found);
}

#[tokio::test]
async fn a_window_that_is_too_large_is_said() {
    let api = api().await;
    let plain = file(3_000).into_bytes();
    let packed = async |log: u32| {
        let mut packed = Vec::new();
        let params = [CParameter::window_log(log)];
        ZstdEncoder::with_quality_and_params(plain.as_slice(), Level::Default, &params)
            .read_to_end(&mut packed)
            .await
            .unwrap();
        packed
    };
    json(send(&api, "zstd", packed(23).await).await, StatusCode::ACCEPTED).await;
    let found = problem(send(&api, "zstd", packed(24).await).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    insta::assert_json_snapshot!(found);
}

#[tokio::test]
async fn the_checksum_behind_a_form_is_looked_at() {
    let api = api().await;
    let form = format!(
        "--xx\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\ndebts\r\n\
         --xx\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{}\r\n--xx--\r\n",
        file(3_000)
    );
    let packed = gzip(form.as_bytes()).await;
    let send = async |body: Vec<u8>| {
        let request = api.post("/v1/uploads?force=1").header("content-encoding", "gzip");
        request.header("content-type", "multipart/form-data; boundary=xx").body(body).send().await.unwrap()
    };
    json(send(packed.clone()).await, StatusCode::ACCEPTED).await;
    let mut wrong = packed.clone();
    let checksum = wrong.len() - 8;
    wrong[checksum] ^= 1;
    for body in [wrong, packed[..packed.len() - 8].to_vec()] {
        let found = problem(send(body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(found["type"], "/problems/corrupt-encoding", "{found}");
    }
    let taken = api.json("/v1/uploads?state=processing").await;
    assert_eq!(taken["items"].as_array().unwrap().len(), 1);
}
