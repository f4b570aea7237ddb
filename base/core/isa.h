/* isa.h - one source, several instruction sets. Files named *.isa.c are compiled once per level
 * (base, AVX2, AVX-512); what they define goes through VOLT_ISA_NAME, and a small table beside
 * them picks by volt_cpu_isa(). Such files define no external names of their own.
 */
#ifndef VOLT_BASE_CORE_ISA_H
#define VOLT_BASE_CORE_ISA_H

#define VOLT_ISA_GLUE2(name, suffix) name##suffix
#define VOLT_ISA_GLUE(name, suffix)  VOLT_ISA_GLUE2(name, suffix)
#ifdef VOLT_ISA_SUFFIX
#define VOLT_ISA_NAME(name) VOLT_ISA_GLUE(name, VOLT_ISA_SUFFIX)
#endif

#endif
