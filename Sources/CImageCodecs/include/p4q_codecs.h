#ifndef P4Q_CODECS_H
#define P4Q_CODECS_H
#endif
