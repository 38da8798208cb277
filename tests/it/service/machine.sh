# Boots this machine's own systemd in namespaces of its own, on a root file system that lives in memory.
# Arguments: an empty folder to mount it on, and a folder that is to be seen in it as /src.
# To be started by: unshare --mount --pid --fork --uts --ipc --cgroup --net
set -eu
root=$1 share=$2

mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 tmpfs "$root"
cd "$root"
mkdir -p dev etc/systemd/system home mnt opt proc root run src srv sys tmp usr
mkdir -p var/backups var/cache var/lib var/log var/tmp
chmod 1777 tmp var/tmp
chmod 700 root

# The programs are this machine's, read-only; what is installed goes to its own /usr/local.
mount --bind /usr usr
mount -o remount,bind,ro usr
mount -t tmpfs -o mode=755 tmpfs usr/local
mkdir -p usr/local/bin usr/local/lib
for link in bin sbin lib lib64; do
    ln -s "usr/$link" "$link"
done

for name in passwd group shadow gshadow login.defs nsswitch.conf pam.d security adduser.conf \
    ld.so.cache ld.so.conf ld.so.conf.d alternatives ssl; do
    [ ! -e "/etc/$name" ] || cp -a "/etc/$name" etc/
done
sed -i '/^\(evenkeel\|anna\):/d' etc/passwd etc/group etc/shadow etc/gshadow
echo 0123456789abcdef0123456789abcdef >etc/machine-id
# Nothing of this machine's hardware or network is any business of theirs.
for unit in systemd-udevd systemd-udev-trigger systemd-udev-settle systemd-hwdb-update systemd-timesyncd \
    systemd-networkd systemd-resolved systemd-logind systemd-firstboot ldconfig; do
    ln -s /dev/null "etc/systemd/system/$unit.service"
done
for unit in sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount modprobe@.service; do
    ln -s /dev/null "etc/systemd/system/$unit"
done

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
# What is not of a namespace is the real kernel's: not theirs to change.
for place in sys sysrq-trigger; do
    [ -e "proc/$place" ] || continue
    mount --bind "proc/$place" "proc/$place"
    mount -o remount,bind,ro "proc/$place"
done
mount --bind "$share" src

# Credentials are mounted beside the services and have to reach them.
mount --make-rshared "$root"
hostname machine
exec setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-sys_boot,-syslog,-audit_control,-audit_read \
    chroot . /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin /usr/lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=0
