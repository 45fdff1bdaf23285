"""The stages, one package each: nodes and the pipeline that wires them; heavy imports wait until a node runs."""
