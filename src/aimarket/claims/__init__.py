"""Claims about the market, registered before they are tested, and what runs say of them."""
