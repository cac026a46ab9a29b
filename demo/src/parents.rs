//! The end of those who started us.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use tokio::sync::oneshot;

/// Resolves when make has ended, or anything between make and us; never if make has not started us.
pub(crate) async fn make_has_ended() {
    let Some(chain) = chain_to_make() else {
        // Make tells its depth to whatever it starts: then it has ended already.
        return match std::env::var_os("MAKELEVEL") {
            Some(_) => (),
            None => std::future::pending().await,
        };
    };
    let open = |pid: &Pid| pidfd_open(*pid, PidfdFlags::empty());
    let Ok(ends) = chain.iter().map(open).collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let polls = ends.iter().map(|end| PollFd::new(end, PollFlags::IN));
        let mut polls: Vec<_> = polls.collect();
        while let Err(Errno::INTR) = poll(&mut polls, None) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}

/// Our parent, its parent and so on, up to the outermost make.
fn chain_to_make() -> Option<Vec<Pid>> {
    let mut chain = Vec::new();
    let mut makes = None;
    let mut next = getppid();
    while let Some(pid) = next {
        let (name, parent) = name_and_parent(pid)?;
        chain.push(pid);
        if matches!(name.as_str(), "make" | "gmake") {
            makes = Some(chain.len());
        }
        next = parent;
    }
    chain.truncate(makes?);
    Some(chain)
}

/// From `/proc/PID/stat`: `PID (NAME) STATE PARENT ...`, where NAME may hold anything.
fn name_and_parent(pid: Pid) -> Option<(String, Option<Pid>)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (start, rest) = stat.rsplit_once(") ")?;
    let (_, name) = start.split_once(" (")?;
    let parent = rest.split(' ').nth(1)?.parse().ok()?;
    Some((name.to_owned(), Pid::from_raw(parent)))
}
