"""Every error this package raises on purpose, as one tree.

FaceCCTVError
├── InputError            what was handed in cannot be used
│   ├── ImageError        not a readable picture
│   │   └── LimitError    readable, but larger than the limits in force
│   ├── VideoError        not a readable video
│   ├── SourceChanged     the file changed while it was worked on
│   ├── FaceCountError    no face, or several, where exactly one is meant
│   ├── WatchlistError    a watch-list file that is none, or damaged or changed
│   │   ├── WrongKey      it does not open with this passphrase or key file
│   │   └── WatchlistBusy another process holds it
│   ├── EntryError        a person or row that a watch-list cannot take, or does not have
│   ├── SightingsError    stored sightings that cannot be read, or do not fit
│   ├── LogTampered       a search log that is not what was written
│   └── LabelError        a label or data file that breaks its format
├── OutputError           a result could not be written (disk full, no permission, exists)
├── ModelError            a model file cannot be used
│   ├── ModelNotFound     nowhere on the look-up path
│   ├── ModelTampered     its SHA-256 is not the one on record
│   ├── OtherModel        it is not the one that a result names
│   └── LicenceRequired   its licence has to be accepted first
├── SettingError          an option or environment variable has an impossible value
└── MissingExtra          needs a package of an extra that is not installed

The message is one line, written for the person who has to act on it. Messages name files only as
the caller named them.
"""

from __future__ import annotations


class FaceCCTVError(Exception):
    """Base of all errors above; catching it catches nothing else."""


class InputError(FaceCCTVError):
    """What was handed in cannot be used."""


class ImageError(InputError):
    """Not a readable picture."""


class LimitError(ImageError):
    """A picture larger than the limits in force, in bytes or pixels."""


class VideoError(InputError):
    """Not a readable video."""


class SourceChanged(InputError):
    """The source's bytes are no longer those that were read: its result would be no evidence."""


class FaceCountError(InputError):
    """No face, or several, where exactly one is meant."""


class WatchlistError(InputError):
    """A watch-list file that is none, or was damaged or changed."""


class WrongKey(WatchlistError):
    """The watch-list does not open with this passphrase or key file."""


class WatchlistBusy(WatchlistError):
    """Another process holds the watch-list; nothing was changed."""


class EntryError(InputError):
    """A person or row that a watch-list cannot take, or does not have."""


class SightingsError(InputError):
    """Stored sightings that cannot be read, or that do not fit what is asked of them."""


class LogTampered(InputError):
    """A search log that is not what was written."""


class LabelError(InputError):
    """A label or data file that breaks its format."""


class OutputError(FaceCCTVError):
    """A result could not be written; nothing half-written is left behind."""


class ModelError(FaceCCTVError):
    """A model file cannot be used."""


class ModelNotFound(ModelError):
    """The model is nowhere on the look-up path."""


class ModelTampered(ModelError):
    """The file's SHA-256 is not the one on record."""


class OtherModel(ModelError):
    """The model here is not the one by which a result was made."""


class LicenceRequired(ModelError):
    """The model's licence has to be accepted first."""


class SettingError(FaceCCTVError):
    """An option or environment variable has an impossible value."""


class MissingExtra(FaceCCTVError):
    """Needs a package of an extra that is not installed; the message says which to install."""
