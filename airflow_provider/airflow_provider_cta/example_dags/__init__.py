"""Example DAGs, which Airflow shows when `[core] load_examples` says so."""
