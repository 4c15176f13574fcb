//! What metadata means and how lag is counted, as tables.
