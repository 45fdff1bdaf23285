"""The search for a better configuration: trials of a training, proposed and pruned by Optuna, one MLflow run each.

`space` says what is searched, `identity` what makes it the same search again, `ledger` keeps the trials in Optuna's
database, `worker` makes them, `search` starts the workers, `results` and `pictures` tell what came out.
"""
