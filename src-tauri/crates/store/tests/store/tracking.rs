use crate::{Fixture, path};

#[tokio::test]
async fn marks_are_replaced_and_go_with_their_relationship() {
    let fixture = Fixture::new().await;
    let marks = vec![(path("Data"), true), (path("Data/tmp"), false), (path(b"odd \xff"), true)];
    fixture.store.tracking().replace(fixture.relationship, &marks, 5).await.unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.tracking().list(fixture.relationship).await.unwrap(), marks);
    fixture.store.tracking().replace(fixture.relationship, &marks[..1], 6).await.unwrap();
    assert_eq!(fixture.store.tracking().list(fixture.relationship).await.unwrap(), marks[..1]);
    fixture.store.relationships().remove(fixture.relationship).await.unwrap();
    assert!(fixture.store.tracking().list(fixture.relationship).await.unwrap().is_empty());
}
