"""Files on this machine: where they lie until they are sent, and their names made safe."""
