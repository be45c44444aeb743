"""Coverage-guided fuzzing of one target with atheris, which is no dependency of the project.

    python tests/fuzz/fuzz.py --list
    python tests/fuzz/fuzz.py transaction --seconds 60

Ends with 0 when nothing was found. A finding is printed and kept in `.chancery/fuzz/NAME/`, as is the growing corpus;
give the file's bytes to `tests.fuzz.target.exercise` to see it again, and make a test of it.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["protocol", "attestation", "evm", "enclave", "host_proxy", "eif", "simulator"]
NO_ATHERIS = "atheris is not installed here: python -m pip install atheris (it has wheels for Python 3.11 to 3.13)"


def main() -> None:
    """Fuzz the target that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="a name of the list")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="print the names of all targets")
    options = parser.parse_args()
    sys.path[0] = str(ROOT)
    if options.list:
        from tests.fuzz.targets import TARGETS

        print("\n".join(TARGETS))  # noqa: T201
        return
    try:
        import atheris
    except ImportError:
        parser.exit(3, f"{NO_ATHERIS}\n")
    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.targets import TARGETS
    if options.name not in TARGETS:
        parser.error(f"no such target; --list has them: {options.name}")
    fuzz(atheris, options.name, options.seconds)


def fuzz(atheris: Any, name: str, seconds: int) -> None:
    """Run libFuzzer on the target; does not return."""
    from tests.fuzz.target import exercise
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    seeds = list(target.seeds()) or [b""]
    folder = ROOT / ".chancery" / "fuzz" / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    flags = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=70000"]
    flags += [f"-artifact_prefix={folder}/", "-print_final_stats=1", str(folder / "corpus")]
    atheris.Setup([sys.argv[0], *flags], lambda data: exercise(target, data), custom_mutator=mutator(atheris, seeds))
    atheris.Fuzz()


def mutator(atheris: Any, seeds: list[bytes]) -> Callable[[bytes, int, int], bytes]:
    """libFuzzer's own damage, and every third time ours, which knows JSON and CBOR."""
    from tests.fuzz.mutations import mutate

    def damage(data: bytes, max_size: int, seed: int) -> bytes:
        if seed % 3:
            changed: bytes = atheris.Mutate(data, len(data))
            return changed
        return mutate(data, Random(seed), seeds)[:max_size]

    return damage


if __name__ == "__main__":
    main()
