use gristmill_mail::{eml, read};

use crate::support::{Post, letters};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_mails_are_kept_as_files() {
    let post = Post::nowhere().await;
    let report = post.mailer().deliver(&post.turn(), letters(3)).await.unwrap();
    assert_eq!(report.sent, 3);
    assert_eq!(post.mailer().deliver(&post.turn(), letters(3)).await.unwrap().done, 3);
    let filter =
        read::Filter { recipient: Some("PAYER1@example.com".to_owned()), limit: 10, ..read::Filter::default() };
    let found = read::list(&post.stack.pool, post.client_id, &filter).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].kept && found[0].sent_at.is_some());
    let (_, text) = read::find(&post.stack.pool, post.client_id, found[0].id).await.unwrap().unwrap();
    assert!(text.unwrap().contains("7.811,50"));
    let raw = String::from_utf8(eml(&*post.stack.store, found[0].id).await.unwrap().unwrap()).unwrap();
    assert!(raw.contains(&format!("Message-ID: {}", found[0].message_id)) && raw.contains("application/pdf"));
    assert_eq!(eml(&*post.stack.store, uuid::Uuid::now_v7()).await.unwrap(), None);
    assert!(read::find(&post.stack.pool, (post.client_id.get() + 1).into(), found[0].id).await.unwrap().is_none());
}
