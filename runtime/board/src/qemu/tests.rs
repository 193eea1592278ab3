use std::os::unix::fs::PermissionsExt;
use std::process;

use super::*;
use crate::boards::EMULATED;

/// A program for a Cortex-M that loops at its first instruction: vectors for stack and reset, then
/// `b .`, in one segment at address 0 of a minimal ELF file.
fn looping_elf(folder: &Path) -> PathBuf {
    let mut elf = Vec::new();
    let half = |elf: &mut Vec<u8>, values: &[u16]| {
        elf.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let word = |elf: &mut Vec<u8>, values: &[u32]| {
        elf.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    elf.extend_from_slice(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
    half(&mut elf, &[2, 40]);
    word(&mut elf, &[1, 9, 52, 0, 0x0500_0000]);
    half(&mut elf, &[52, 32, 1, 40, 0, 0]);
    let segment = [0x2000_1000, 9, 0xe7fe_e7fe];
    word(&mut elf, &[1, 84, 0, 0, 12, 12, 5, 4]);
    word(&mut elf, &segment);
    let path = folder.join("loop.elf");
    fs::write(&path, elf).unwrap();
    path
}

fn is_alive(pid: u32) -> bool {
    // A process that has ended and was waited for has no entry.
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
        (parent == pid.to_string()).then_some(child)
    })
    .collect()
}

fn gone(pids: &[u32]) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(|&pid| is_alive(pid)) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn a_board_starts_shows_its_display_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let elf = looping_elf(folder.path());
    let (mut qemu, _port) = Qemu::start(&EMULATED[0], &elf, &Options::default()).unwrap();
    let screen = qemu.screendump().unwrap().unwrap();
    assert_eq!([screen.width, screen.height], [128, 64]);
    assert!(screen.rgb.iter().all(|&value| value == 0));
    assert_eq!(qemu.ended(), None);
    let guard = qemu.guard.id();
    let started = [vec![guard], children(guard)].concat();
    assert_eq!(started.len(), 3, "the guard, its watcher and the emulator");
    assert!(is_alive(guard) && guard != process::id());
    let sockets = qemu.folder.path().to_owned();
    drop(qemu);
    assert!(gone(&started));
    assert!(!sockets.exists());
}

#[test]
fn an_emulator_does_not_outlive_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let elf = looping_elf(folder.path());
    let (mut qemu, _port) = Qemu::start(&EMULATED[0], &elf, &Options::default()).unwrap();
    let emulator = children(qemu.guard.id());
    // What the system does to a process's pipes, however it ends.
    drop(qemu.guard.stdin.take());
    assert!(gone(&emulator));
    assert!(qemu.ended().is_some());
    let error = qemu.screendump().unwrap_err().to_string();
    assert!(error.contains("QEMU"), "{error}");
}

#[test]
fn what_goes_wrong_at_the_start_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let elf = looping_elf(folder.path());
    let missing = folder.path().join("missing.elf");
    let silent = folder.path().join("silent");
    fs::write(&silent, "#!/bin/sh\n[ $1 = --version ] || exec sleep 60\n").unwrap();
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o755)).unwrap();
    let of = |program: &str, extra: &[&str]| Options {
        program: program.into(),
        extra: extra.iter().map(OsString::from).collect(),
        patience: Duration::from_secs(1),
    };
    let qemu = "qemu-system-arm";
    let cases = [
        (
            of("qemu-none", &[]),
            &elf,
            "qemu-none: there is no such program",
        ),
        (
            of("qemu-none", &[]),
            &elf,
            "apt-get install qemu-system-arm",
        ),
        (of(qemu, &["-plugin", "none.so"]), &elf, "none.so"),
        (of(qemu, &[]), &missing, "missing.elf"),
        (
            of("true", &[]),
            &elf,
            "QEMU did not start the board: it ended",
        ),
        (
            of(silent.to_str().unwrap(), &[]),
            &elf,
            "it does not answer",
        ),
    ];
    for (options, elf, part) in cases {
        let error = Qemu::start(&EMULATED[0], elf, &options)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn screendumps_are_checked() {
    let cases: [(&[u8], Option<[u32; 2]>); 6] = [
        (b"P6\n2 1\n255\nabcdef", Some([2, 1])),
        (b"P6\n1 1\n255\n\n \n", Some([1, 1])),
        (b"P6\n2 1\n255\nabcde", None),
        (b"P6\n2 1\n65535\nabcdef", None),
        (b"P5\n2 1\n255\nabcdef", None),
        (b"P6\n4294967295 4294967295\n255\n", None),
    ];
    for (bytes, expected) in cases {
        let found = parse_ppm(bytes).map(|picture| [picture.width, picture.height]);
        assert_eq!(found, expected, "{}", bytes.escape_ascii());
    }
}
