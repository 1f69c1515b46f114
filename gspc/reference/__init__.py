"""A readable decoder of `.pcgs` streams, written from the format page pcgs(5) alone.

Tests hold the C++ core against it: two programs that were written apart and agree on every integer have read
the page alike. So nothing here calls the core or takes a number from it. What has a formula is computed from
it; the fitted start state of the position coder, which has none, is read from the file that the page names.
Nothing that ships imports this package, and it imports numpy and `gspc.format` only. It is slow on purpose.

Each module implements a section of the page:

    decode         the whole way from bytes to integers, SYMBOL HASH
    model          what a stream says once: HEAD, GRID, GHED and NETS
    parameters     GRID and GHED
    integer_layers NETS
    slice          SLIC, CODING ORDER
    context        CONTEXT
    networks       NETWORKS
    tables         TABLES: numbers with a formula
    gaussians      TABLES: frequencies of the Gaussian tables
    symbol_tables  TABLES: which slots belong to which symbol
    mixtures       MIXTURES
    trits          TRITS
    binary         BINARY CODER
    rans           LANE CODER
    positions      POSITIONS: the tree, children, many, side, rest
    neighbors      POSITIONS: what is around a child
    mixing         POSITIONS: slots and mixing, the start state
    morton         TERMS: Morton key
    varint         TERMS: varint
"""
