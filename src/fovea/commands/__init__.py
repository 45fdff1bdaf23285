"""The project's commands, one module each; `fovea.cli` names them and imports one only when it is asked for."""
