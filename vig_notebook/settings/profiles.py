"""The profile file: named servers, each with the name of the variable that holds its key.

::

    default_profile = "work"
    log = "~/work/runs.sqlite"                # where runs are logged, or "off"
    log_prompts = false                       # the log keeps answers and figures, and not what was asked

    [profiles.work]
    base_url = "https://llm.example.org/v1"
    key_env = "WORK_LLM_KEY"                  # the name of the variable, never the key
    model = "llama-3.3-70b"
    parameters = {temperature = 0.2}
    idle_timeout_s = 120

    [profiles.lab]
    base_url = "http://10.0.0.7:8000/v1"
    key_env = "LAB_KEY"
    insecure_http = true                      # lets the key go over http:// beyond this machine
"""

from __future__ import annotations

import difflib
import errno
import re
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

import platformdirs

from vig_notebook.errors import ConfigError
from vig_notebook.settings.addresses import normal_base_url
from vig_notebook.settings.limits import Limits
from vig_notebook.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIMITS: Final = frozenset(limit.name for limit in fields(Limits))
_TOP_KEYS: Final = frozenset({"default_profile", "log", "log_prompts", "profiles"})
_PROFILE_KEYS: Final = _LIMITS | {"base_url", "insecure_http", "key_env", "log_prompts", "model", "parameters"}
_KEY_WORDS: Final = frozenset({"api_key", "apikey", "authorization", "bearer", "key", "password", "secret", "token"})
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY_PREFIX: Final = re.compile(r"(?i)(sk|vg|vk)[-_]")
_KEY_ADVICE: Final = 'Put it into an environment variable and write the variable\'s name: key_env = "MY_KEY".'

# A request must have some; the file's parameters are tried with these.
_ANY_MESSAGES: Final = ({"role": "user", "content": "any"},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server of the profile file. What the file does not say is None."""

    name: str
    base_url: str | None = None
    model: str | None = None
    key_env: str | None = None
    insecure_http: bool = False
    log_prompts: bool = True
    parameters: Mapping[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """What the profile file says."""

    path: Path
    by_name: Mapping[str, Profile]
    default_name: str | None = None
    log: str | None = None
    log_prompts: bool = True

    def get(self, name: str) -> Profile:
        """Give the profile of this name.

        Raises:
            ConfigError: there is none; the sentence names the file and the nearest profile.
        """
        if name in self.by_name:
            return self.by_name[name]
        known = f"{self.path} has {', '.join(sorted(self.by_name)) or 'none'}"
        raise ConfigError(
            f"There is no profile {name!r}",
            seen=known,
            advice=_nearest(name, self.by_name) or "Add it there, or name another.",
        )


def profile_file() -> Path:
    """Say where the profile file is, or would be."""
    return platformdirs.user_config_path("vig_notebook", appauthor=False) / "config.toml"


def read_profiles(path: Path | None = None) -> Profiles:
    """Read the profile file (`profile_file()` when no path is given).

    A missing file is an empty one.

    Raises:
        ConfigError: the file cannot be read or says something that is not understood: the sentence
        names file, line and key.
    """
    path = profile_file() if path is None else path
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        return Profiles(path=path, by_name={})
    except OSError as error:
        raise ConfigError(
            "The profile file cannot be read",
            seen=f"{path}: {error.strerror}",
            advice="Raise the limit on open files (ulimit -n)."
            if error.errno in {errno.EMFILE, errno.ENFILE}
            else "Make it readable, or move it away.",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            "The profile file cannot be read",
            seen=f"{path} is not UTF-8",
            advice="Save it as UTF-8.",
        ) from None
    return _File(path=path, text=text).profiles()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The text of a profile file; knows in which line a key stands."""

    path: Path
    text: str

    def profiles(self) -> Profiles:
        try:
            document = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            # The parser's sentence ends in "(at line 3, column 5)". The line itself is not quoted:
            # it may hold a key.
            raise ConfigError(
                "The profile file is not TOML",
                seen=f"{self.path}: {error}",
                advice="Correct that line.",
            ) from None
        self._refuse_unknown(document, _TOP_KEYS, table="")
        tables = self._table(document.get("profiles", {}), key="profiles", table="")
        by_name = {
            name: self._profile(name, self._table(table, key=name, table="profiles")) for name, table in tables.items()
        }
        default = self._text(document, "default_profile", table="")
        if default is not None and default not in by_name:
            raise self._error(
                f"names the profile {default!r}, which the file does not have",
                "default_profile",
                "",
                _nearest(default, by_name),
            )
        return Profiles(
            path=self.path,
            by_name=by_name,
            default_name=default,
            log=self._text(document, "log", table=""),
            log_prompts=self._switch(document, "log_prompts", table="", default=True),
        )

    def _profile(self, name: str, members: Mapping[str, object]) -> Profile:
        table = f"profiles.{name}"
        self._refuse_unknown(members, _PROFILE_KEYS, table=table)
        return Profile(
            name=name,
            base_url=self._base_url(members, table),
            model=self._text(members, "model", table=table),
            key_env=self._key_env(members, table),
            insecure_http=self._switch(members, "insecure_http", table=table, default=False),
            log_prompts=self._switch(members, "log_prompts", table=table, default=True),
            parameters=self._parameters(members, table),
            limits=self._limits(members, table),
        )

    def _base_url(self, members: Mapping[str, object], table: str) -> str | None:
        text = self._text(members, "base_url", table=table)
        try:
            return None if text is None else normal_base_url(text)
        except ConfigError as error:
            raise self._error(f"cannot be used: {error.seen}", "base_url", table, error.advice) from None

    def _key_env(self, members: Mapping[str, object], table: str) -> str | None:
        name = self._text(members, "key_env", table=table)
        if name is not None and (not _VARIABLE_NAME.fullmatch(name) or _KEY_PREFIX.match(name)):
            raise self._error(
                "is no name of an environment variable; a key itself never stands in this file",
                "key_env",
                table,
                _KEY_ADVICE,
            )
        return name

    def _parameters(self, members: Mapping[str, object], table: str) -> Mapping[str, object]:
        parameters = self._table(members.get("parameters", {}), key="parameters", table=table)
        self._refuse_keys(parameters, table=f"{table}.parameters")
        for name, value in parameters.items():
            place = f"{table}.parameters"
            if not _is_json(value):
                raise self._error("is a date or time, which a request cannot hold", name, place, "Write it as text.")
            if name == "model":
                raise self._error("is no parameter", name, place, "Write it as the profile's own: model = …")
            try:
                ChatRequest.of(_ANY_MESSAGES, {name: value}).encode()
            except ConfigError as error:
                why = ": ".join(filter(None, [error.what, error.seen]))
                raise self._error(f"cannot be sent: {why}", name, place) from None
        return parameters

    def _limits(self, members: Mapping[str, object], table: str) -> Limits:
        limits = Limits()
        for name in sorted(_LIMITS & members.keys()):
            try:
                limits = Limits(**{**_as_dict(limits), name: members[name]})  # type: ignore[arg-type]  # Limits checks what the file gave
            except ConfigError as error:
                raise self._error(f"is no such number: {error.seen}", name, table, error.advice) from None
        return limits

    def _table(self, value: object, *, key: str, table: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self._error("must be a table", key, table)
        return value

    def _switch(self, members: Mapping[str, object], key: str, *, table: str, default: bool) -> bool:
        value = members.get(key, default)
        if not isinstance(value, bool):
            raise self._error("must be true or false", key, table)
        return value

    def _text(self, members: Mapping[str, object], key: str, *, table: str) -> str | None:
        value = members.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self._error("must be a text that is not empty", key, table)
        return value

    def _refuse_unknown(self, members: Mapping[str, object], known: frozenset[str], *, table: str) -> None:
        self._refuse_keys(members, table=table)
        for key in members:
            if key not in known:
                raise self._error(
                    "is not a setting",
                    key,
                    table,
                    _nearest(key, known) or f"Known here: {', '.join(sorted(known))}.",
                )

    def _refuse_keys(self, members: Mapping[str, object], *, table: str) -> None:
        for key in members:
            if key.lower().replace("-", "_") in _KEY_WORDS:
                raise self._error("is refused: a key never stands in this file", key, table, _KEY_ADVICE)

    def _error(self, what: str, key: str, table: str, advice: str = "") -> ConfigError:
        place = f"{self.path}, line {self._line(key, table)}" + (f", [{table}]" if table else "")
        return ConfigError(f"{key} {what}", seen=place, advice=advice or "Correct that line.")

    def _line(self, key: str, table: str) -> int:
        """Find the line of a key; where its form is unusual, that of its table, or 1."""
        quoted = rf"[\"']?{re.escape(key)}[\"']?\s*"
        plain, inline = re.compile(rf"\s*{quoted}[=.]"), re.compile(rf"[{{,]\s*{quoted}=")
        here, nearest = "", 1
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                here = re.sub(r"[\s\"']", "", header[1])
                if here == f"{table}.{key}".lstrip("."):
                    return number
                nearest = number if here == table else nearest
            elif (here == table and plain.match(line)) or (table.startswith(here) and inline.search(line)):
                return number
        return nearest


def _as_dict(limits: Limits) -> dict[str, object]:
    return {name: getattr(limits, name) for name in _LIMITS}


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | int | float | bool)


def _nearest(name: str, known: Mapping[str, object] | frozenset[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""
