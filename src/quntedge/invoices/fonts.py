"""Fonts besides ours, for names in scripts that ours do not have: Japanese, Arabic, Hebrew and so on.

Ours have Latin, Greek and Cyrillic letters. Those for all scripts of the world would be a hundred times as large as the
rest of the program, so whoever has customers there says where such fonts lie.
"""

from pathlib import Path

from quntedge.invoices.glyphs import UnreadableFont, characters
from quntedge.settings import ConfigurationError

_KINDS = frozenset({".ttf", ".otf", ".ttc", ".otc"})
_SETTING = "QUNTEDGE_DOCUMENT_FONTS"


def read_fonts(setting: str | None) -> tuple[Path, ...]:
    """The font files in the folder that `QUNTEDGE_DOCUMENT_FONTS` names; none without one.

    Raises `ConfigurationError` where there are none, or one that cannot be read.
    """
    if setting is None or not setting.strip():
        return ()
    folder = Path(setting)
    if not folder.is_dir():
        raise ConfigurationError(f"{_SETTING} is not a folder: {folder}.")
    files = tuple(sorted(file for file in folder.rglob("*") if file.suffix.lower() in _KINDS))
    if not files:
        raise ConfigurationError(f"{_SETTING} holds no font: put .ttf, .otf, .ttc or .otc files into {folder}.")
    for file in files:
        try:
            characters(file.read_bytes())
        except (OSError, UnreadableFont) as error:
            raise ConfigurationError(f"{_SETTING}: {file} cannot be read as a font: {error}") from None
    return files
