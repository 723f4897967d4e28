use evenfold_store::{KEPT_SCANS, ScanRow};

use crate::Fixture;

fn scan(started: i64, success: bool) -> ScanRow {
    ScanRow {
        started,
        ended: started + 5,
        deep: started % 2 == 0,
        success,
        files: 3,
        bytes: 1 << 40,
        read: 7,
        errors: 1,
        detail: (!success).then(|| "the folder is missing".to_owned()),
    }
}

#[tokio::test]
async fn newest_scans_are_kept_and_listed_first() {
    let fixture = Fixture::new().await;
    let scans = fixture.store.scans();
    for started in 0..i64::from(KEPT_SCANS) + 3 {
        scans.add(fixture.relationship, &scan(started, started != 5)).await.unwrap();
    }
    let fixture = fixture.reopened().await;
    let rows = fixture.store.scans().newest(fixture.relationship, 2).await.unwrap();
    assert_eq!(rows, [scan(1002, true), scan(1001, true)]);
    let rows = fixture.store.scans().newest(fixture.relationship, u32::MAX).await.unwrap();
    assert_eq!((rows.len(), rows.last().unwrap().started), (KEPT_SCANS as usize, 3));
    assert_eq!(rows[997], scan(5, false));
}
