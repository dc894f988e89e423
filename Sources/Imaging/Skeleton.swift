// Walking skeleton: the module's first declaration replaces this file.
