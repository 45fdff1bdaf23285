"""The files that have a cluster train a resolved job, as text; `kedro submit` writes them and submits nothing."""
