"""The four parts of shoal whose every branch is wanted in tests, and which tests are theirs.

A part is a list of patterns of sources (fnmatch, from the top of the checkout). `TESTS` names the test programs that
stand nearest to a library, nearest first: mutants are shown to them in this order."""
import fnmatch
import subprocess

PARTS = {
    "decoders": ["dht/base/bencode.cpp", "dht/base/msgpack.cpp", "dht/krpc_codec.cpp", "dht/native_codec.cpp",
                 "dht/record.cpp", "dht/item.cpp", "dht/sealed_slots.cpp", "swarm/bt_message.cpp", "swarm/bt_wire.cpp",
                 "swarm/native_message.cpp", "swarm/native_wire.cpp", "swarm/lsd.cpp", "swarm/sniff.cpp",
                 "storage/link.cpp", "storage/magnet.cpp", "storage/metainfo.cpp", "storage/metainfo_v1.cpp",
                 "storage/torrent.cpp"],
    "crypto": ["dht/base/crypto.cpp", "dht/base/hash.cpp", "dht/base/obfuscation.cpp", "dht/proof.cpp", "dht/tokens.cpp",
               "dht/swarm_keys.cpp", "dht/identity.cpp", "swarm/noise.cpp", "swarm/native_channel.cpp", "swarm/mse.cpp",
               "swarm/mse_wire.cpp", "swarm/replay_filter.cpp", "swarm/handshake_budget.cpp", "storage/merkle.cpp"],
    "paths": ["storage/names.cpp", "storage/posix_vfs.cpp", "storage/posix_state.cpp", "storage/survey.cpp",
              "storage/layout.cpp"],
    "commits": ["storage/disk_attach.cpp", "storage/disk_commit.cpp", "storage/disk_judge.cpp", "storage/disk_write.cpp",
                "storage/catalog*.cpp", "storage/sqlite*.cpp", "storage/posix_file.cpp"],
}
TESTS = {
    "dht/base/": ["base_tests", "dht_tests"],
    "dht/": ["dht_tests"],
    "storage/": ["storage_tests"],
    "swarm/": ["swarm_tests"],
}
PRODUCT = ["dht/*", "storage/*", "swarm/*"]  # engines; the command line is tested end to end


def sources():
    """Every source of the engines, and the part of each (None: of no part)."""
    listed = subprocess.run(["git", "ls-files", "--", *PRODUCT], check=True, capture_output=True, text=True).stdout
    out = {}
    for path in listed.split():
        if path.endswith((".cpp", ".hpp")):
            out[path] = next((part for part, patterns in PARTS.items()
                              if any(fnmatch.fnmatch(path, pattern) for pattern in patterns)), None)
    return out


def tests_of(path):
    return next(tests for folder, tests in TESTS.items() if path.startswith(folder))
