#!/bin/sh
# Installs Evenkeel and its service, or a newer version over an older one: sudo sh systemd/install.sh [PROGRAM]
# PROGRAM is what was built, target/release/evenkeel if not named. Settings, key and state that exist stay as they are.
# docs/operations.md says what lies where, and how to remove it.
set -eu

program=$(realpath -- "${1:-"$(dirname -- "$0")/../target/release/evenkeel"}")
cd -- "$(dirname -- "$0")"

# Each file under another name first: a program that runs is replaced, and keeps running.
install -D -m 0755 -- "$program" /usr/local/bin/evenkeel
install -D -m 0644 -t /usr/local/lib/systemd/system evenkeel.service evenkeel-key.service
install -D -m 0644 evenkeel.sysusers /usr/local/lib/sysusers.d/evenkeel.conf
install -D -m 0644 evenkeel.tmpfiles /usr/local/lib/tmpfiles.d/evenkeel.conf
# The user evenkeel, the folders, and a file for the settings with the right owner.
systemd-sysusers evenkeel.conf
systemd-tmpfiles --create evenkeel.conf
systemctl daemon-reload
