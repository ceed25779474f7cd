"""Starting the gateway's processes, keeping them alive, and ending them."""
