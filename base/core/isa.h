/* isa.h - one source, several instruction sets.
 *
 * Files named *.isa.c are compiled once per instruction set (base, AVX2, AVX-512). All their
 * external names go through VOLT_ISA_NAME, and the caller chooses by volt_cpu_isa().
 */
#ifndef VOLT_BASE_CORE_ISA_H
#define VOLT_BASE_CORE_ISA_H

#define VOLT_ISA_GLUE2(name, suffix) name##suffix
#define VOLT_ISA_GLUE(name, suffix)  VOLT_ISA_GLUE2(name, suffix)
#ifdef VOLT_ISA_SUFFIX
#define VOLT_ISA_NAME(name) VOLT_ISA_GLUE(name, VOLT_ISA_SUFFIX)
#endif

#endif
