"""What a session does beyond Spark's own."""

from __future__ import annotations

from pyspark.sql import SparkSession


def test_the_jvm_is_asked_for_each_name_once(spark: SparkSession) -> None:
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    assert jvm.org.apache.spark.sql.delta.DeltaLog is jvm.org.apache.spark.sql.delta.DeltaLog
    assert getattr(jvm, "org.apache.spark.sql.functions") is getattr(jvm, "org.apache.spark.sql.functions")
