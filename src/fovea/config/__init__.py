"""Configuration: Hydra's tree in `conf/`, composed to one plain dict, checked, and handed to Kedro and DVC alike."""
