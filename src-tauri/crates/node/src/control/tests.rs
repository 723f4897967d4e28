use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::*;
use crate::api::{ErrorCode, Progress};
use crate::home::Home;

/// Answers some requests in a way that shows what the socket does with them.
#[derive(Default)]
struct Fake {
    waiting: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Service for Fake {
    async fn call(&self, request: Request, events: mpsc::Sender<Event>) -> Result<Reply, ApiError> {
        match request {
            Request::PeerList => Ok(Reply::Peers(Vec::new())),
            Request::Log { lines } => Ok(Reply::Log(vec!["x".repeat(1000); lines as usize])),
            Request::Sync { relationship, .. } => {
                let progress = Progress {
                    phase: "scanning".into(),
                    files_done: 1,
                    files_total: 2,
                    bytes_done: 3,
                    bytes_total: 4,
                    bytes_per_second: 5,
                    eta_seconds: None,
                };
                for _ in 0..3 {
                    let id = relationship.clone();
                    let _ = events.try_send(Event::Progress { id, progress: progress.clone() });
                }
                Err(ApiError::new(ErrorCode::NotFound, "no such relationship").with_hint("look"))
            }
            Request::PairWait { .. } => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let _waiting = Waiting(Arc::clone(&self.waiting));
                std::future::pending().await
            }
            Request::Doctor => panic!("a defect"),
            _ => Ok(Reply::Done),
        }
    }
}

struct Running {
    home: Home,
    waiting: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
    _temporary: tempfile::TempDir,
}

async fn running_in(below: &str) -> Running {
    let temporary = tempfile::tempdir().unwrap();
    let home = Home::at(temporary.path().join(below)).unwrap();
    home.create().unwrap();
    let lock = home.lock("test").unwrap();
    let listener = Listener::bind(&home, &lock).unwrap();
    let fake = Fake::default();
    let waiting = Arc::clone(&fake.waiting);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        serve(listener, Arc::new(fake), async { drop(stopped.await) }).await;
        drop(lock);
    });
    Running { home, waiting, stop: Some(stop), served, _temporary: temporary }
}

async fn running() -> Running {
    running_in("home").await
}

async fn connected(running: &Running) -> Client {
    Client::connect(&running.home).await.unwrap().unwrap()
}

async fn until(what: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn without_a_daemon_there_is_no_client() {
    let temporary = tempfile::tempdir().unwrap();
    let home = Home::at(temporary.path().join("none")).unwrap();
    assert!(Client::connect(&home).await.unwrap().is_none());
}

#[tokio::test]
async fn requests_are_answered_one_after_another() {
    let running = running().await;
    let mut client = connected(&running).await;
    for _ in 0..3 {
        let reply = client.call(Request::PeerList, &mut |_| {}).await.unwrap();
        assert!(matches!(reply, Reply::Peers(peers) if peers.is_empty()));
    }
}

#[tokio::test]
async fn large_answer_arrives_whole() {
    let running = running().await;
    let mut client = connected(&running).await;
    let reply = client.call(Request::Log { lines: 20_000 }, &mut |_| {}).await.unwrap();
    assert!(matches!(reply, Reply::Log(lines) if lines.len() == 20_000));
}

#[tokio::test]
async fn events_come_before_the_error_and_its_hint() {
    let running = running().await;
    let mut client = connected(&running).await;
    let mut seen = 0;
    let request =
        Request::Sync { relationship: "photos".into(), dry_run: false, wait: true, timeout_seconds: None };
    let error = client.call(request, &mut |_| seen += 1).await.unwrap_err();
    assert_eq!((error.code, error.hint.as_deref(), seen), (ErrorCode::NotFound, Some("look"), 3));
}

#[tokio::test]
async fn client_that_goes_away_cancels_its_call() {
    let running = running().await;
    let mut client = connected(&running).await;
    let waiting = tokio::spawn(async move {
        let _ = client.call(Request::PairWait { code: "c".into() }, &mut |_| {}).await;
    });
    until(|| running.waiting.load(Ordering::SeqCst) == 1).await;
    waiting.abort();
    until(|| running.waiting.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn abandoned_call_is_cancelled_by_the_next_one() {
    let running = running().await;
    let mut client = connected(&running).await;
    {
        let mut ignored = |_| {};
        let call = client.call(Request::PairWait { code: "c".into() }, &mut ignored);
        tokio::select! {
            _ = call => panic!("nothing answers"),
            () = until(|| running.waiting.load(Ordering::SeqCst) == 1) => {}
        }
    }
    assert!(matches!(client.call(Request::PeerList, &mut |_| {}).await, Ok(Reply::Peers(_))));
    until(|| running.waiting.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn defect_in_one_call_is_told_and_the_rest_goes_on() {
    let running = running().await;
    let mut client = connected(&running).await;
    let error = client.call(Request::Doctor, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(client.call(Request::PeerList, &mut |_| {}).await.is_ok());
}

#[tokio::test]
async fn unknown_request_is_refused_under_its_id() {
    let running = running().await;
    let mut stream = raw(&running, br#"{"evenfold":1,"version":"9"}"#).await;
    stream.write_all(b"{\"call\":{\"id\":7,\"request\":{\"request\":\"dance\"}}}\n").await.unwrap();
    let said = read_lines(&mut stream, 2).await;
    assert!(said.contains(r#"{"error":{"id":7,"#), "{said}");
}

#[tokio::test]
async fn other_protocol_gets_our_version_and_nothing_else() {
    let running = running().await;
    let mut stream = raw(&running, br#"{"evenfold":2,"version":"9"}"#).await;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with(r#"{"evenfold":1,"#), "{said}");
}

#[tokio::test]
async fn endless_line_is_cut_off_and_others_are_still_served() {
    let running = running().await;
    let mut stream = raw(&running, br#"{"evenfold":1,"version":"9"}"#).await;
    let piece = vec![b'x'; 1 << 20];
    let mut refused = false;
    for _ in 0..200 {
        refused |= stream.write_all(&piece).await.is_err();
    }
    assert!(refused);
    assert!(connected(&running).await.call(Request::PeerList, &mut |_| {}).await.is_ok());
}

#[tokio::test]
async fn shutdown_removes_the_socket_and_ends_waiting_calls() {
    let mut running = running().await;
    let mut client = connected(&running).await;
    let waiting =
        tokio::spawn(async move { client.call(Request::PairWait { code: "c".into() }, &mut |_| {}).await });
    until(|| running.waiting.load(Ordering::SeqCst) == 1).await;
    running.stop.take().unwrap().send(()).unwrap();
    (&mut running.served).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err().code, ErrorCode::Io);
    assert!(Client::connect(&running.home).await.unwrap().is_none());
}

#[tokio::test]
async fn socket_left_behind_is_replaced() {
    let temporary = tempfile::tempdir().unwrap();
    let home = Home::at(temporary.path().to_path_buf()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(home.dir().join("control.sock")).unwrap());
    assert!(Client::connect(&home).await.unwrap().is_none());
    let lock = home.lock("test").unwrap();
    let listener = Listener::bind(&home, &lock).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(listener.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn home_with_a_very_long_path_is_reached_too() {
    let running = running_in(&"long/".repeat(40)).await;
    assert!(connected(&running).await.call(Request::PeerList, &mut |_| {}).await.is_ok());
}

async fn raw(running: &Running, hello: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(running.home.dir().join("control.sock")).await.unwrap();
    stream.write_all(hello).await.unwrap();
    stream.write_all(b"\n").await.unwrap();
    stream
}

async fn read_lines(stream: &mut UnixStream, count: usize) -> String {
    let mut said = Vec::new();
    while said.iter().filter(|byte| **byte == b'\n').count() < count {
        said.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(said).unwrap()
}
