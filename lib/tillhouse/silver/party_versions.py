"""What changes slowly of a contact, coarse enough to leave the vault, and since when: a function of all that was delivered."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import without_repeats
from tillhouse.keys import BEGINNING
from tillhouse.silver.parties import party_type, several
from tillhouse.silver.versions import day_of, day_told
from tillhouse.sources.model import Source
from tillhouse.tables.entities import PARTY_VERSION

_SAID = (
    "party_type", "has_name", "has_company", "has_address", "postal_area", "country", "language", "birth_year",
    "company_id_tokens", "changed_at",
)  # fmt: skip
_POSTCODE_LENGTH = {"DE": 5, "AT": 4, "CH": 4, "LI": 4, "LU": 4}
_COUNTRY_BEFORE_POSTCODE = "^(DE?|AT?|CH|FL|LI|LU?)[ -]*[0-9]"
_NO_POSTCODES = [sign * length for sign in "0123456789X" for length in range(3, 11)]  # one sign over and over
_NO_BIRTH_DATE = "1970-01-01"  # what machines write for none
_OLDEST = 115  # years


def with_told(contacts: DataFrame, source: Source) -> DataFrame:
    """Add ``told``: what changes slowly, and the first day that it is so (``begins_on``), NULL where nothing tells it.

    That is the day of the change or export time as the clock shows it in the zone in which the source writes it.
    """
    country = _text("country")
    region = F.when(country.rlike("^[A-Z]{2}$"), country).when(country.isNull(), F.lit(source.phone_region))
    told = {
        "begins_on": day_told("version_at", source),
        "changed_at": F.col("changed_at"),
        "party_type": party_type(),
        "has_name": _any("given_name", "family_name"),
        "has_company": _any("company"),
        "has_address": _any("street", "postal_code", "city"),
        "postal_area": postal_area(F.col("postal_code"), region),
        "country": country,
        "language": _text("language"),
        "birth_year": _birth_year(),
        "company_id_tokens": F.array_sort(several("company_ids_token")),
    }
    return contacts.withColumn("told", F.struct(*(value.alias(name) for name, value in told.items())))


def _text(name: str) -> Column:
    return F.when(F.trim(name) != "", F.trim(name))


def _any(*names: str) -> Column:
    """True where one of the texts is told, else NULL."""
    return F.when(F.coalesce(*(_text(name) for name in names)).isNotNull(), F.lit(True))


def postal_area(code: Column, region: Column) -> Column:
    """The first two digits (letters where a country has such codes) of a postal code; a zero that a spreadsheet has lost counts.

    ``region``: whose code it is (ISO 3166), NULL if unknown.
    """
    told = F.upper(F.trim(code))
    own = F.when(told.rlike(_COUNTRY_BEFORE_POSTCODE), F.regexp_replace(told, "^[A-Z]+", "")).otherwise(told)
    bare = F.regexp_replace(own, "[^A-Z0-9]", "")
    length = F.coalesce(*(F.when(region == name, digits) for name, digits in _POSTCODE_LENGTH.items()))
    is_number = bare.rlike("^[0-9]+$") & length.isNotNull()
    padded = F.when((region == "DE") & bare.rlike("^[0-9]{4}$"), F.concat(F.lit("0"), bare)).otherwise(bare)
    is_code = F.when(is_number, F.length(padded) == length).otherwise(F.length(padded).between(3, 10))
    return F.when(is_code & ~padded.isin(_NO_POSTCODES), padded.substr(1, 2))


def _birth_year() -> Column:
    """The year of birth, unless the date is after the record was told, or older than people get."""
    year = F.year("birth_date")
    told_in = F.year(day_of(F.coalesce("changed_at", "created_at", "version_at")))
    is_possible = told_in.isNull() | (told_in - year).between(0, _OLDEST)
    return F.when(is_possible & (F.col("birth_date") != F.lit(_NO_BIRTH_DATE).cast("date")), year)


def to_party_versions(ranked: DataFrame, files: DataFrame) -> DataFrame:
    """One row per contact and day on which its record begins to say something else, or is taken back.

    ``ranked``: every delivered record of these contacts (records.rank_versions); ``files``: the ledger. Of one day the newest
    counts, of equally new ones the first that was loaded. Records of which nothing tells the day say one thing, since ever.
    """
    loaded = files.select(F.col("file_id").alias("_file_id"), "loaded_at", "path")
    of_day = Window.partitionBy("record_key", "_day").orderBy(
        F.col("version_at").desc_nulls_last(), F.col("loaded_at").asc_nulls_last(), "path", "_file_id", "_row"
    )
    begins_on = F.greatest("told.begins_on", F.lit(BEGINNING))
    sound = ranked.where("status <> 'rejected'").join(F.broadcast(loaded), on="_file_id", how="left")
    days = sound.withColumn("_day", begins_on).withColumn("_of_day", F.row_number().over(of_day)).where("_of_day = 1")
    rows = days.select(
        F.col("record_key").alias("party_key"),
        F.col("_day").alias("valid_from"),
        "source",
        F.col("is_deletion").alias("is_deleted"),
        *(F.when(~F.col("is_deletion"), F.col(f"told.{name}")).alias(name) for name in _SAID),
        "version_at",
    )
    return PARTY_VERSION.conform(without_repeats(rows, "party_key", "valid_from", ("is_deleted", *_SAID)))
