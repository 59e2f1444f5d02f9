//! Moves the protocol away from descriptors 0 and 1, so that whatever the agent and its children print goes to the log.

use std::fs::File;
use std::io::BufReader;
use std::os::raw::c_int;
use std::os::unix::io::{AsRawFd, FromRawFd};

extern "C" {
    fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn close(descriptor: c_int) -> c_int;
}

/// Of Linux: a copy that children don't inherit, at the given number or above.
const F_DUPFD_CLOEXEC: c_int = 1030;
const LOWEST: c_int = 10;
/// The host's pipe for what the agent prints to stdout.
const LOG: c_int = 3;

/// Where the host's calls come from, and where answers go to.
pub fn take() -> (BufReader<File>, File) {
    // SAFETY: plain system calls at the start of the program, when nothing else has descriptors; each of the two copies gets
    // one owner.
    unsafe {
        let input = fcntl(0, F_DUPFD_CLOEXEC, LOWEST);
        let output = fcntl(1, F_DUPFD_CLOEXEC, LOWEST);
        if input < 0 || output < 0 {
            eprintln!("This program is started by the Raworc host and talks to it over its descriptors 0 and 1.");
            std::process::exit(1);
        }
        if let Ok(nothing) = File::open("/dev/null") {
            dup2(nothing.as_raw_fd(), 0);
        }
        if dup2(LOG, 1) >= 0 {
            close(LOG);
        } else {
            dup2(2, 1);
        }
        (
            BufReader::new(File::from_raw_fd(input)),
            File::from_raw_fd(output),
        )
    }
}
