"""Differences of two ramdisks, file by file."""

from contextlib import ExitStack
from typing import Final

from eif.cpio import Kind
from eif.cpio_reader import Member, read_ramdisk
from eif.errors import EifError
from eif.explain.contents import first_difference
from eif.explain.report import Change, How
from eif.reader import Span

_TIME: Final = "time"


def compare_ramdisks(first: Span, second: Span) -> Change | tuple[Change, ...]:
    """The entries that differ. One change in place of many says why entries could not be compared, or do not differ."""
    with ExitStack() as scratch:
        try:
            old, new = read_ramdisk(first, scratch), read_ramdisk(second, scratch)
        except EifError as error:
            return Change("contents", How.CHANGED, f"no files can be told apart here ({error.code}: {error.detail})")
        changes = _compare(old, new)
        return changes or Change("archive", How.CHANGED, _describe_form(old, new))


def _compare(old: dict[str, Member], new: dict[str, Member]) -> tuple[Change, ...]:
    changes, times = [], []
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            changes.append(Change(path, How.REMOVED, _describe(old[path])))
        elif path not in old:
            changes.append(Change(path, How.ADDED, _describe(new[path])))
        elif aspects := _aspects(old[path], new[path]):
            if aspects.keys() == {_TIME}:
                times.append(Change(path, How.CHANGED, aspects[_TIME]))
            else:
                changes.append(Change(path, How.CHANGED, "; ".join(aspects.values())))
    if len(times) > 1:
        times = [Change(f"times of {len(times)} entries", How.CHANGED, "and nothing else of them", tuple(times))]
    return (*changes, *times)


def _describe(member: Member) -> str:
    if member.kind is Kind.FILE:
        return f"file of {member.content.size} bytes, mode {member.mode:04o}"
    if member.target is not None:
        return f"symlink to {member.target!a}"
    return f"{member.kind.words}, mode {member.mode:04o}"


def _aspects(old: Member, new: Member) -> dict[str, str]:
    """What differs of one entry, in words."""
    if old.kind is not new.kind:
        return {"kind": f"was: {_describe(old)}; is: {_describe(new)}"}
    found = {}
    if old.target != new.target:
        found["target"] = f"target {old.target!a} -> {new.target!a}"
    elif old.sha384 != new.sha384:
        found["content"] = _describe_content(old.content, new.content)
    if old.mode != new.mode:
        found["mode"] = f"mode {old.mode:04o} -> {new.mode:04o}"
    if (old.uid, old.gid) != (new.uid, new.gid):
        found["owner"] = f"owner {old.uid}:{old.gid} -> {new.uid}:{new.gid}"
    if old.device != new.device:
        found["device"] = f"device {old.device[0]}:{old.device[1]} -> {new.device[0]}:{new.device[1]}"
    if old.mtime_s != new.mtime_s:
        found[_TIME] = f"time {old.mtime_s} -> {new.mtime_s}"
    if old.links != new.links:
        found["links"] = f"links {old.links} -> {new.links}"
    return found


def _describe_content(old: Span, new: Span) -> str:
    sizes = f"{old.size} bytes" if old.size == new.size else f"{old.size} -> {new.size} bytes"
    return f"content: {sizes}, first difference at offset {first_difference(old, new)}"


def _describe_form(old: dict[str, Member], new: dict[str, Member]) -> str:
    """Why archives of the same entries differ."""
    if list(old) != list(new):
        return "the same entries in another order"
    inodes = sum(old[path].inode != new[path].inode for path in old)
    if inodes:
        return f"the same entries with other inode numbers ({inodes} of {len(old)})"
    return "the same entries, otherwise packed: padding, compression or the spelling of headers"
