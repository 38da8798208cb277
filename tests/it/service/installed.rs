//! `docs/operations.md`, typed as written on a machine with a running systemd, from install to uninstall.

use std::path::Path;

use super::machine::Machine;

/// The page's commands for a shell: the heading each block stands under, and the block.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let page = include_str!("../../../docs/operations.md");
    let mut heading = "";
    let mut blocks = Vec::new();
    for part in page.split("\n```") {
        // A block's text follows its language; prose follows the end of a block.
        match part.strip_prefix("sh\n") {
            Some(block) => blocks.push((heading, block)),
            None => heading = part.rsplit("\n#").find_map(title).unwrap_or(heading),
        }
    }
    blocks
}

fn title(part: &str) -> Option<&str> {
    let (hashes, title) = part.lines().next()?.split_once(' ')?;
    hashes.chars().all(|c| c == '#').then_some(title)
}

/// What a checkout and a finished build have, as far as the page needs it.
pub(super) fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let units = folder.path().join("systemd");
    std::fs::create_dir(&units).unwrap();
    for file in std::fs::read_dir(project.join("systemd")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), units.join(file.file_name())).unwrap();
    }
    let built = folder.path().join("target/release");
    std::fs::create_dir_all(&built).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_evenkeel"), built.join("evenkeel")).unwrap();
    folder
}

#[test]
fn the_operations_page_is_true_from_install_to_uninstall() {
    if let Some(why) = Machine::impediment() {
        eprintln!("NOT TESTED: systemd cannot run in namespaces here: {why}");
        return;
    }
    let checkout = checkout();
    let machine = Machine::boot(checkout.path());
    machine.done(APPLICATION);
    let mut before = "";
    for (heading, block) in blocks() {
        // The build is this test's own, and no second machine is there to be moved to.
        if block.starts_with("cargo") || heading == "Moving a site" {
            continue;
        }
        if before != heading {
            check_after(&machine, before);
        }
        before = heading;
        let typed = machine.run(&format!("set -e\n{block}"));
        // The site database is only opened to the daemon further down the page.
        let told = block.contains("enable --now") && typed.stdout.contains("site database");
        let expected = i32::from(told);
        assert_eq!(
            typed.code,
            expected,
            "{heading}: {block}\n{typed:#?}\n{}",
            machine.journal()
        );
    }
    assert_eq!(before, "Uninstall");
    let left =
        "find /etc /var /usr/local /srv /home -iname '*evenkeel*' -not -path '/var/backups/*'";
    assert_eq!(machine.done(left), "");
    assert_eq!(machine.run("id evenkeel").code, 1);
}

/// An application with its database, as it is before Evenkeel comes.
const APPLICATION: &str = "
id www-data >/dev/null 2>&1 || useradd --system www-data
install -d -o www-data -g www-data /srv/shop
setpriv --reuid=www-data --regid=www-data --init-groups sqlite3 /srv/shop/shop.db \\
    \"pragma journal_mode = wal; create table orders (id integer primary key); insert into orders values (1)\"";

/// What has to hold when the commands under this heading have been typed.
fn check_after(machine: &Machine, heading: &str) {
    match heading {
        "Install" => confined(machine),
        "Who may do what" => told_apart(machine),
        "The key" => encrypted(machine),
        "SQLite" => pulling(machine),
        "Upgrade" => coming_back(machine),
        "Backup" => drop(machine.done("evenkeel token revoke monitoring")),
        "Restore" => as_it_was(machine),
        _ => {}
    }
}

fn confined(machine: &Machine) {
    let process = "/proc/$(systemctl show -P MainPID evenkeel)";
    let status = machine.done(&format!("cat {process}/status"));
    let user = machine.done("id -u evenkeel");
    for line in [
        format!("Uid:\t{user}\t{user}\t{user}\t{user}"),
        "CapBnd:\t0000000000000000".to_owned(),
        "NoNewPrivs:\t1".to_owned(),
        "Seccomp:\t2".to_owned(),
    ] {
        assert!(status.contains(&line), "{line}: {status}");
    }
    let words = machine.done("systemctl show -P StatusText evenkeel");
    assert!(words.contains("/run/evenkeel/admin.sock"), "{words}");
    assert_eq!(
        machine.done("stat -c '%U %a' /etc/evenkeel/secret.key"),
        "root 600"
    );
    let shut =
        "setpriv --reuid=evenkeel --regid=evenkeel --clear-groups cat /etc/evenkeel/secret.key";
    assert_ne!(machine.run(shut).code, 0);
    machine.done("systemctl reload evenkeel && systemctl is-active evenkeel");
}

fn told_apart(machine: &Machine) {
    let as_user = |user: &str, command: &str| {
        machine.run(&format!(
            "setpriv --reuid={user} --regid={user} --init-groups {command}"
        ))
    };
    let operator = as_user("anna", "evenkeel connections");
    assert_eq!(operator.code, 0, "{operator:#?}");
    // The settings are not hers to read; that is no fault of the set-up.
    let doctor = as_user("anna", "evenkeel doctor");
    assert!(!doctor.stdout.contains("/etc/evenkeel"), "{doctor:#?}");
    let refused = as_user("anna", "evenkeel settings set incoming_mode deny_all");
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert_ne!(as_user("anna", "cat /etc/evenkeel/evenkeel.toml").code, 0);
    assert_eq!(as_user("www-data", "evenkeel connections").code, 3);
    let unseen = as_user("www-data", "evenkeel config check");
    assert!(unseen.stdout.contains("Permission denied"), "{unseen:#?}");
    assert_eq!(
        machine.done("stat -c %U /var/lib/evenkeel/* | sort -u"),
        "evenkeel"
    );
}

fn encrypted(machine: &Machine) {
    machine.done("mv /etc/evenkeel/secret.key /root/ && systemctl restart evenkeel");
    let refused = machine.run("evenkeel token list");
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.stderr.contains("secret.key is missing"),
        "{refused:#?}"
    );
    assert_eq!(machine.done("ls /etc/evenkeel"), "evenkeel.toml");
    // Back to the key in its file; without that the service does not start, and no other key is made.
    machine.done("rm /etc/systemd/system/evenkeel.service.d/key.conf /etc/credstore.encrypted/evenkeel.key; systemctl daemon-reload");
    assert_ne!(machine.run("systemctl restart evenkeel").code, 0);
    assert_eq!(
        machine.done("systemctl show -P ExecMainStatus evenkeel"),
        "243"
    );
    assert_eq!(machine.done("ls /etc/evenkeel"), "evenkeel.toml");
    machine.done("mv /root/secret.key /etc/evenkeel/ && systemctl restart evenkeel");
}

/// Another site on the same machine, which gives; it runs as root, in no sandbox.
const GIVER: &str = "
mkdir /root/giver && cd /root/giver
cat >evenkeel.toml <<END
site.name = 'giver'
site.url = 'http://127.0.0.1:7450'
site.database = 'sqlite:///root/giver/site.db'
server.listen = '127.0.0.1:7450'
admin = { listen = '', socket = '/root/giver/admin.sock' }
state = { url = 'sqlite:///root/giver/state.db', key_file = '/root/giver/key' }
outgoing.allowed_networks = ['127.0.0.0/8']
END
sqlite3 site.db \"pragma journal_mode = wal; create table items (id integer primary key, price decimal(10,2));
    insert into items with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
        select i, i / 100.0 from n\"
systemd-run -q --unit=giver evenkeel --config /root/giver/evenkeel.toml serve
sed -i s,https://berlin.example.com,http://127.0.0.1:7440, /etc/evenkeel/evenkeel.toml
echo 'outgoing.allowed_networks = [\"127.0.0.0/8\"]' | cat - /etc/evenkeel/evenkeel.toml >new
cat new >/etc/evenkeel/evenkeel.toml
systemctl restart evenkeel";

fn pulling(machine: &Machine) {
    machine.done(GIVER);
    let giver = "evenkeel --config /root/giver/evenkeel.toml";
    machine.until(&format!(
        "{giver} connect http://127.0.0.1:7440 --tables items"
    ));
    machine.done("evenkeel connections approve giver");
    machine.until("evenkeel pull giver items --create --yes");
    let sums = |database: &str| {
        machine.done(&format!(
            "sqlite3 {database} 'select count(*), sum(price) from items'"
        ))
    };
    assert_eq!(sums("/srv/shop/shop.db"), "20000|2000100.0");
    assert_eq!(sums("/srv/shop/shop.db"), sums("/root/giver/site.db"));
    // Killed in the middle, it leaves side files that the application must be able to use.
    machine.done("sqlite3 /root/giver/site.db 'update items set price = price + 1'");
    // Halted first, every thread of it, it cannot close them between the look and the end.
    let open = "pid=$(systemctl show -P MainPID evenkeel)
halt() { kill -STOP $pid; while grep -L '^State:.T' /proc/$pid/task/*/status | grep -q .; do :; done; }
(evenkeel pull giver items || true) &
until halt; [ -e /srv/shop/shop.db-shm ]; do kill -CONT $pid; [ -n \"$(jobs -r)\" ] || exit 9; done
systemctl kill -s KILL evenkeel; stat -c '%G %a' /srv/shop/shop.db-*";
    let sides = machine.done(open);
    assert!(sides.lines().all(|line| line == "www-data 660"), "{sides}");
    machine.done("setpriv --reuid=www-data --regid=www-data --init-groups sqlite3 /srv/shop/shop.db 'insert into orders values (2)'");
    // It would come back by itself, five seconds later.
    machine.done("systemctl restart evenkeel");
    machine
        .until("[ \"$(sqlite3 /srv/shop/shop.db 'select sum(price) from items')\" = 2020100.0 ]");
}

fn coming_back(machine: &Machine) {
    // Wrong settings are not tried again and again.
    machine.done("echo 'nonsense = 1' >>/etc/evenkeel/evenkeel.toml");
    assert_ne!(machine.run("systemctl restart evenkeel").code, 0);
    machine.done("systemctl is-failed evenkeel");
    assert_eq!(
        machine.done("systemctl show -P ExecMainStatus evenkeel"),
        "2"
    );
    machine.done("sed -i '$d' /etc/evenkeel/evenkeel.toml && systemctl start evenkeel");
    // One that stands still is ended by the watchdog and comes back; the page's minute is long for a test.
    machine.done("mkdir -p /run/systemd/system/evenkeel.service.d && printf '[Service]\\nWatchdogSec=1s\\nRestartSec=100ms\\nTimeoutStopSec=2s\\n' >/run/systemd/system/evenkeel.service.d/quick.conf && systemctl daemon-reload && systemctl restart evenkeel");
    machine.done("kill -STOP $(systemctl show -P MainPID evenkeel)");
    machine
        .until("[ $(systemctl show -P NRestarts evenkeel) = 1 ] && systemctl is-active evenkeel");
    // A request under way is let finish for longer than TimeoutStopSec and WatchdogSec: the daemon asks for the time.
    let held = "token=$(evenkeel token create --role admin --name held)
exec 3<>/dev/tcp/127.0.0.1/7441
printf 'POST /api/v1/tokens HTTP/1.1\\r\\nhost: localhost\\r\\nauthorization: Bearer %s\\r\\ncontent-length: 29\\r\\n\\r\\n' $token >&3
systemctl stop evenkeel & sleep 3; printf '{\"name\":\"x\",\"role\":\"viewer\"}  ' >&3; head -n 1 <&3; wait
systemctl show -P Result evenkeel";
    let answer = machine.done(held);
    assert_eq!(answer, "HTTP/1.1 201 Created\r\nsuccess");
    machine.done("rm -r /run/systemd/system/evenkeel.service.d; systemctl daemon-reload; systemctl start evenkeel");
}

/// What was decided after the backup is forgotten, as the page says, and everything else still works.
fn as_it_was(machine: &Machine) {
    let tokens = machine.done("evenkeel token list");
    assert!(tokens.contains("monitoring\tviewer"), "{tokens}");
    let owners = machine.done("stat -c '%U %a' /var/lib/evenkeel/state.db*");
    assert!(
        owners.lines().all(|line| line == "evenkeel 600"),
        "{owners}"
    );
    machine.until("evenkeel pull giver items");
}
