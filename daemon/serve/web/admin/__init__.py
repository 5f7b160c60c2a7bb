"""The administration page, behind `listen.admin`: a table of the administrator's verbs, and the page that asks them."""
