//! A machine with a running systemd, to install the service on: this one's own programs, in namespaces of their own.
//!
//! Nothing of it outlives the test process: its file system is memory, and its first process ends with ours.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::daemon::Output;
use crate::support::{cleanup, wait};

/// What makes a process a part of the machine.
const NAMESPACES: [&str; 6] = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net"];

const SUDO: &str =
    "sudo() { if [ \"$1\" = -u ]; then runuser -u \"$2\" -- \"${@:3}\"; else \"$@\"; fi; }";

/// A booted machine; ends when dropped.
pub struct Machine {
    unshare: Child,
    init: u32,
    folder: TempDir,
}

impl Machine {
    /// Why there can be none here, if there cannot.
    pub fn impediment() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("only root may make one".to_owned());
        }
        let may =
            "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mount -t cgroup2 cgroup2 /mnt";
        let tried = unshare().args(["sh", "-c", may]).output().unwrap();
        let words = String::from_utf8_lossy(&tried.stderr).into_owned();
        (!tried.status.success()).then_some(words)
    }

    /// Boots one in which `share` is `/src`.
    pub fn boot(share: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("evenkeel-machine-")
            .tempdir()
            .unwrap();
        cleanup::folder(folder.path());
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let unshare = unshare()
            .args(["sh", "-c", include_str!("machine.sh"), "machine"])
            .args([&root, share])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        cleanup::started(&unshare, "KILL");
        let mut machine = Self {
            unshare,
            init: 0,
            folder,
        };
        machine.wait_until_booted();
        machine
    }

    /// Joins this machine's network with another's; there `hq` and `berlin` below `example.com` are found.
    pub fn link(&self, hq: &Self, [ours, theirs]: [&str; 2]) {
        let script = format!(
            "nsenter -t {berlin} -n ip link add wire type veth peer name wire netns {hq}
            set -e
            for end in '{berlin} {ours}' '{hq} {theirs}'; do
                set -- $end
                nsenter -t $1 -n sh -ec \"ip addr add $2 dev wire; ip link set wire up\"
            done",
            berlin = self.init,
            hq = hq.init,
        );
        let linked = Command::new("sh").args(["-ec", &script]).output().unwrap();
        assert!(linked.status.success(), "{linked:?}");
        let address = |network: &str| network.split('/').next().unwrap().to_owned();
        for machine in [self, hq] {
            machine.done(&format!(
                "printf '127.0.0.1 localhost\n{} berlin.example.com\n{} hq.example.com\n' >/etc/hosts",
                address(ours),
                address(theirs)
            ));
        }
    }

    /// Runs a script there as root, in `/src`. `sudo` has nothing to do, unless for another user.
    pub fn run(&self, script: &str) -> Output {
        let output = Command::new("nsenter")
            .args(["--target", &self.init.to_string(), "--root", "--wd"])
            .args(NAMESPACES)
            .args(["env", "-i", "HOME=/root", "LANG=C.UTF-8"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .args(["bash", "-c"])
            .arg(format!("{SUDO}\ncd /src; {script}"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs a script that has to succeed; what it printed.
    pub fn done(&self, script: &str) -> String {
        let output = self.run(script);
        assert_eq!(output.code, 0, "{script}: {output:#?}\n{}", self.journal());
        output.stdout.trim().to_owned()
    }

    /// Waits until a script succeeds.
    pub fn until(&self, script: &str) {
        let well = wait::within(wait::LONG, || (self.run(script).code == 0).then_some(()));
        assert!(well.is_some(), "{script}: never\n{}", self.journal());
    }

    /// What the service said.
    pub fn journal(&self) -> String {
        self.run("journalctl --no-pager -q -u 'evenkeel*'").stdout
    }

    fn wait_until_booted(&mut self) {
        let process = self.unshare.id();
        let children = format!("/proc/{process}/task/{process}/children");
        let booted = wait::within(wait::LONG, || {
            let line = std::fs::read_to_string(&children).ok()?;
            self.init = line.split_whitespace().next()?.parse().ok()?;
            (self.run("systemctl is-active basic.target").code == 0).then_some(())
        });
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(booted.is_some(), "the machine does not boot:\n{log}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process ends with it, and everything there with that.
        self.unshare.kill().expect("the machine can be ended");
        self.unshare.wait().expect("a status");
        cleanup::ended(&self.unshare);
    }
}

fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    unshare
        .args(NAMESPACES)
        .args(["--fork", "--kill-child=KILL"]);
    unshare
}
