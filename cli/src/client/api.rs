//! Requests to the API, and what their answers mean.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use gristmill_uploads::{Upload, UploadId};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    error::{Failure, Problem},
    server::{Server, Target},
};

/// How long an answer that is no stream may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that the API lists at a time.
const PAGE: usize = 200;

/// The API, as one client sees it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    http: Client,
    target: std::sync::Arc<Target>,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_cursor: Option<String>,
    /// Where the list counts.
    total: Option<Value>,
}

/// The first items of a list.
pub(super) struct ListPage {
    pub(super) items: Vec<Value>,
    /// How many there are, where the list counts.
    pub(super) total: Option<Value>,
    /// Whether there are more than these.
    pub(super) more: bool,
}

impl Api {
    pub(super) fn open(server: Server) -> anyhow::Result<Self> {
        let target = server.target()?;
        let http = Client::builder()
            .user_agent(concat!("gristmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .tcp_keepalive(Duration::from_secs(20))
            .build()?;
        Ok(Self { http, target: target.into() })
    }

    /// `path` has no leading slash, so that an API below a path of its host works.
    pub(super) fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.target.api.join(path).expect("our own paths are valid");
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.target.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    /// Sends it. The answer is a good one; its body is still to be read.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let api = self.base();
        let body = tokio::time::timeout(REQUEST_TIMEOUT, response.bytes()).await;
        let problem = body.ok().and_then(Result::ok).and_then(|body| serde_json::from_slice::<Problem>(&body).ok());
        Err(match problem {
            Some(problem) if status == StatusCode::UNAUTHORIZED => self.refused_key(&problem),
            Some(problem) => Failure::Refused(problem),
            None => Failure::Foreign { api, status },
        })
    }

    /// GETs JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        let response = self.send(self.request(Method::GET, path, query).timeout(REQUEST_TIMEOUT)).await?;
        self.json(response).await
    }

    /// POSTs, PUTs or DELETEs, with JSON or nothing.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let mut request = self.request(method, path, &[]).timeout(REQUEST_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.send(request).await?;
        self.json(response).await
    }

    /// At most `limit` items of a list, of as many pages as that takes.
    pub(super) async fn list(&self, path: &str, query: &[(&str, String)], limit: usize) -> Result<ListPage, Failure> {
        let mut items = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let size = (limit - items.len()).min(PAGE).to_string();
            let mut query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            query.push(("limit", &size));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<Value> = self.get(path, &query).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() >= limit {
                return Ok(ListPage { items, total: page.total, more: cursor.is_some() });
            }
        }
    }

    /// The body of an answer, as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(error))?;
        serde_json::from_slice(&body).map_err(|_| Failure::Foreign { api: self.base(), status })
    }

    pub(super) async fn upload(&self, id: UploadId) -> Result<Upload, Failure> {
        self.get(&format!("v1/uploads/{id}"), &[]).await
    }

    /// The upload that was sent with this key.
    pub(super) async fn upload_by_key(&self, key: &str) -> Result<Option<Upload>, Failure> {
        let mut page: Page<Upload> = self.get("v1/uploads", &[("idempotency_key", key), ("limit", "1")]).await?;
        Ok(page.items.pop())
    }

    /// The server, for messages.
    pub(super) fn base(&self) -> Url {
        self.target.api.clone()
    }

    pub(super) fn failed(&self, error: reqwest::Error) -> Failure {
        let unreachable = error.is_connect();
        // The address stands in our own message; without it the cause is short.
        let (api, source) = (self.base(), short(error.without_url()));
        if unreachable { Failure::Unreachable { api, source } } else { Failure::Broken { api, source } }
    }

    fn refused_key(&self, problem: &Problem) -> Failure {
        let Target { api, key, key_from } = &*self.target;
        match key {
            None => Failure::Key {
                what: format!("{api} wants a key and none was found"),
                todo: "give one with --key or GRISTMILL_KEY; `gristmill keys create --client NAME` makes one",
            },
            Some(_) => Failure::Key {
                what: format!("the key was refused (it is from {key_from}): {}", problem.detail()),
                todo: "check the key, or make a new one with `gristmill keys create --client NAME`",
            },
        }
    }
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    let mut url = Url::parse("http://any").expect("it is a URL");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(name);
    }
    url.path().trim_start_matches('/').to_owned()
}

/// Of the four layers that an error comes through only the last one says something: `connection refused`.
fn short(error: reqwest::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(layer) = cause {
        match layer.downcast_ref::<io::Error>().map(io::Error::kind) {
            None | Some(ErrorKind::Other) => cause = layer.source(),
            Some(kind) => {
                let known = io::Error::from(kind).to_string();
                // A kind that the library has no word for: a name that is not found is one.
                let said = if known == "uncategorized error" { layer.to_string() } else { known };
                return if said.contains("failed to lookup address") {
                    "the name was not found".into()
                } else {
                    said.into()
                };
            }
        }
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(["a", "a b/c?d", "a:b"].map(segment).join(" "), "a a%20b%2Fc%3Fd a:b");
    }
}
