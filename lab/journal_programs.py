"""systemd's programs for journals that travel, of Debian 13: journal-upload, journal-remote and journalctl."""

from pathlib import Path

from lab import debian


def unpacked() -> Path:
    """Return the folder with the programs, by their names without ``systemd-``; in 20 s where it is not there yet.

    Raises:
        lab.debian.MissingError: this machine cannot have them.
    """
    programs = {
        "journal-remote": "usr/lib/systemd/systemd-journal-remote",
        "journal-upload": "usr/lib/systemd/systemd-journal-upload",
        "journalctl": "usr/bin/journalctl",
    }
    # Loaded when they are needed, so that no list of libraries has them: PCRE for --grep, zstd for long lines.
    beside = ("usr/lib/*/libpcre2-8.so.0", "usr/lib/*/libzstd.so.1")
    return debian.unpacked("systemd-journal-remote", programs, "systemd", "libpcre2-8-0", beside=beside)
