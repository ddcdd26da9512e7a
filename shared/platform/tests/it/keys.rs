use gristmill_platform::{keys, testing};
use secrecy::ExposeSecret;

#[tokio::test]
async fn a_key_proves_its_client_until_revoked() {
    let pool = testing::stack().await.pool;
    let acme = keys::create(&pool, "acme").await.unwrap();
    let again = keys::create(&pool, "acme").await.unwrap();
    let other = keys::create(&pool, "other").await.unwrap();
    assert_eq!(acme.client, again.client);
    assert_ne!(acme.client.id, other.client.id);
    let secret = acme.secret.expose_secret();
    assert!(secret.starts_with("gm_") && secret.len() == 3 + 64, "{}", secret.len());

    assert_eq!(keys::authenticate(&pool, secret).await.unwrap(), Some(acme.client.clone()));
    for wrong in ["", "gm_", &secret[..secret.len() - 1], &secret.to_uppercase(), &format!("{secret} ")] {
        assert_eq!(keys::authenticate(&pool, wrong).await.unwrap(), None, "{wrong}");
    }

    let listed = keys::list(&pool).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!((listed[0].client.as_str(), listed[0].id), ("other", other.id));
    assert!(secret.starts_with(&listed[2].prefix) && listed[2].created_at.ends_with('Z'));

    assert_eq!(keys::revoke(&pool, &acme.id.to_string()).await.unwrap(), 1);
    assert_eq!(keys::revoke(&pool, &acme.id.to_string()).await.unwrap(), 0);
    assert_eq!(keys::revoke(&pool, &listed[1].prefix).await.unwrap(), 1);
    assert_eq!(keys::authenticate(&pool, secret).await.unwrap(), None);
    assert_eq!(keys::authenticate(&pool, again.secret.expose_secret()).await.unwrap(), None);
    assert!(keys::authenticate(&pool, other.secret.expose_secret()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_client_has_a_name_that_people_can_read() {
    let pool = testing::stack().await.pool;
    let long = "n".repeat(101);
    for bad in
        ["", " \t", "new\nline\u{1b}[31m", "c1\u{9b}2J", "right\u{202e}left", " blank", "blank ", &long, "zero\u{200b}"]
    {
        let refused = keys::create(&pool, bad).await.unwrap_err();
        assert!(matches!(refused, keys::MakeError::Name(_)), "{bad:?}: {refused}");
        assert!(keys::create_operator(&pool, bad).await.is_err() && keys::create_viewer(&pool, bad).await.is_err());
    }
    for good in ["Müller & Söhne", "日本", &long[1..], "a.b-c_d/e"] {
        keys::create(&pool, good).await.unwrap();
    }
    // One that is there from before may have a new key.
    sqlx::query("insert into clients (name) values (E'old\\x1bname')").execute(&pool).await.unwrap();
    keys::create(&pool, "old\u{1b}name").await.unwrap();
}

#[tokio::test]
async fn nothing_stored_is_a_key() {
    let pool = testing::stack().await.pool;
    let key = keys::create(&pool, "acme").await.unwrap();
    let rows: Vec<String> = sqlx::query_scalar("select api_keys::text from api_keys").fetch_all(&pool).await.unwrap();
    assert!(!rows.concat().contains(&key.secret.expose_secret()[12..]));
}

#[tokio::test]
async fn an_operators_key_says_so() {
    let pool = testing::stack().await.pool;
    let plain = keys::create(&pool, "acme").await.unwrap();
    let operator = keys::create_operator(&pool, "acme").await.unwrap();
    for (key, expected) in [(&plain, false), (&operator, true)] {
        let client = keys::authenticate(&pool, key.secret.expose_secret()).await.unwrap().unwrap();
        assert_eq!((client.operator, client.id), (expected, plain.client.id));
    }
    let listed: Vec<bool> = keys::list(&pool).await.unwrap().into_iter().map(|key| key.operator).collect();
    assert_eq!(listed, [true, false]);
    assert_eq!(keys::client_id(&pool, "acme").await.unwrap(), Some(plain.client.id));
    assert_eq!(keys::client_id(&pool, "nobody").await.unwrap(), None);
    let names = keys::client_names(&pool, &[plain.client.id, (-1).into()]).await.unwrap();
    assert_eq!(names, [(plain.client.id, "acme".to_owned())]);
}
