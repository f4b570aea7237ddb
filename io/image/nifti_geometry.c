/* nifti_geometry.c - the grid that a NIfTI header describes, and writing a grid to a header.
 *
 * A header can describe the grid three times: pixdim, qform (a quaternion, so rotations only)
 * and sform (any affine matrix), each with a code, and programs disagree on which one to
 * believe when they differ. As nibabel and ITK do for most files, the sform wins, then the
 * qform, then nibabel's default; differences become warnings, because a silent choice of the
 * wrong side is the worst outcome. When writing, a source's fields are copied unless the grid
 * changed, since a matrix converted to a quaternion and back is not bit-identical; on a
 * new grid both forms move together, so that readers of either one see the same place.
 */
#include <math.h>
#include <string.h>

#include "io/image/nifti_raw.h"

static const char axis_name[3] = {'x', 'y', 'z'};

typedef struct affine {
    double m[3][4];
} affine;

static double column_length(const affine *a, int column)
{
    return sqrt(a->m[0][column] * a->m[0][column] + a->m[1][column] * a->m[1][column] +
                a->m[2][column] * a->m[2][column]);
}

static double determinant(const affine *a)
{
    const double(*m)[4] = a->m;

    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

static bool all_finite(const double *values, int count)
{
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* -- Reading ------------------------------------------------------------------------------ */

static affine sform_of(const nifti_2_header *h)
{
    affine a;

    memcpy(a.m[0], h->srow_x, sizeof a.m[0]);
    memcpy(a.m[1], h->srow_y, sizeof a.m[1]);
    memcpy(a.m[2], h->srow_z, sizeof a.m[2]);
    return a;
}

static affine qform_of(const nifti_2_header *h, const double spacing[3])
{
    const nifti_dmat44 q = nifti_quatern_to_dmat44(
        h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x, h->qoffset_y, h->qoffset_z,
        spacing[0], spacing[1], spacing[2], h->pixdim[0] < 0 ? -1.0 : 1.0);
    affine a;

    memcpy(a.m, q.m, sizeof a.m);
    return a;
}

/* nibabel's default for a header with neither form: x increases to the left, the origin is the
 * centre of the grid. */
static affine noform_of(const volt_grid *grid, const double spacing[3])
{
    affine a = {{{-spacing[0], 0, 0, 0}, {0, spacing[1], 0, 0}, {0, 0, spacing[2], 0}}};

    for (int i = 0; i < 3; i++)
        a.m[i][3] = -a.m[i][i] * (double)(grid->n[2 - i] - 1) / 2;
    return a;
}

/* pixdim[1..3] as a positive spacing; 0 is allowed for an axis of one voxel. */
static volt_status spacing_of(double spacing[3], volt_image_header *header, const char *path)
{
    for (int i = 0; i < 3; i++) {
        const double value = header->raw->h.pixdim[i + 1];
        spacing[i] = value;
        if (header->grid.n[2 - i] == 1 && value == 0) {
            spacing[i] = 1;
            continue;
        }
        if (!isfinite(value) || value <= 0)
            return volt_fail(VOLT_EFORMAT,
                             "%s: pixdim[%d] (the spacing along %c) is %g; a positive number "
                             "is expected",
                             path, i + 1, axis_name[i], value);
    }
    return VOLT_OK;
}

static volt_status check_quaternion(const nifti_2_header *h, const char *path)
{
    const double q[6] = {h->quatern_b, h->quatern_c, h->quatern_d,
                         h->qoffset_x, h->qoffset_y, h->qoffset_z};
    const double norm = q[0] * q[0] + q[1] * q[1] + q[2] * q[2];

    if (!all_finite(q, 6))
        return volt_fail(VOLT_EFORMAT, "%s: the qform holds a number that is not finite", path);
    if (norm > 1 + 1e-4)
        return volt_fail(VOLT_EFORMAT,
                         "%s: the qform's quaternion (%g, %g, %g) has squared length %g; at "
                         "most 1 is expected",
                         path, q[0], q[1], q[2], norm);
    return VOLT_OK;
}

/* Gives a slice whose header has no third axis one at right angles. */
static volt_status complete_slice(affine *a, volt_image_header *header)
{
    const double length = column_length(a, 0) * column_length(a, 1);

    if (header->grid.n[0] != 1 || column_length(a, 2) != 0 || length == 0)
        return VOLT_OK;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        a->m[i][2] = (a->m[j][0] * a->m[k][1] - a->m[k][0] * a->m[j][1]) / length;
    }
    return volt_image_warn(header, "the sform gives no direction of the z axis; for the single "
                                   "slice, 1 mm at right angles is assumed");
}

/* Finite, not singular, and of a plausible size. */
static volt_status check_affine(const affine *a, const char *form, const char *path)
{
    double volume = 1;

    if (!all_finite(&a->m[0][0], 12))
        return volt_fail(VOLT_EFORMAT, "%s: the %s holds a number that is not finite", path,
                         form);
    for (int i = 0; i < 3; i++) {
        const double length = column_length(a, i);
        if (!(length >= 1e-6 && length <= 1e6))
            return volt_fail(VOLT_EFORMAT,
                             "%s: the %s gives a spacing of %g mm along %c; 1e-6 to 1e6 is "
                             "expected",
                             path, form, length, axis_name[i]);
        if (!(fabs(a->m[i][3]) <= 1e9))
            return volt_fail(VOLT_EFORMAT,
                             "%s: the %s puts the first voxel at %c = %g mm; at most 1e9 is "
                             "expected",
                             path, form, axis_name[i], a->m[i][3]);
        volume *= length;
    }
    if (!(fabs(determinant(a)) > 1e-6 * volume))
        return volt_fail(VOLT_EFORMAT,
                         "%s: the %s is singular (determinant %g for voxels of %g mm3)", path,
                         form, determinant(a), volume);
    return VOLT_OK;
}

/* The largest distance between the same corner under both matrices. */
static double disagreement(const affine *a, const affine *b, const volt_grid *grid)
{
    double worst = 0;

    for (int corner = 0; corner < 8; corner++) {
        double square = 0;
        for (int i = 0; i < 3; i++) {
            double d = a->m[i][3] - b->m[i][3];
            for (int j = 0; j < 3; j++)
                if (corner >> j & 1)
                    d += (a->m[i][j] - b->m[i][j]) * (double)(grid->n[2 - j] - 1);
            square += d * d;
        }
        worst = fmax(worst, sqrt(square));
    }
    return worst;
}

static double largest_cosine(const affine *a)
{
    double worst = 0;

    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const double dot =
            a->m[0][i] * a->m[0][j] + a->m[1][i] * a->m[1][j] + a->m[2][i] * a->m[2][j];
        worst = fmax(worst, fabs(dot) / (column_length(a, i) * column_length(a, j)));
    }
    return worst;
}

/* Warns of fields that contradict the sform, which is used. */
static volt_status note_sform_warnings(volt_image_header *header, const affine *s)
{
    const nifti_2_header *h = &header->raw->h;
    const double spacing[3] = {h->pixdim[1], h->pixdim[2], h->pixdim[3]};
    const double q[6] = {h->quatern_b, h->quatern_c, h->quatern_d,
                         h->qoffset_x, h->qoffset_y, h->qoffset_z};
    bool usable = all_finite(spacing, 3) && all_finite(q, 6);
    volt_status st = VOLT_OK;

    for (int i = 0; i < 3; i++)
        usable = usable && spacing[i] > 0;
    for (int i = 0; i < 3 && st == VOLT_OK; i++) {
        const double length = column_length(s, i);
        if (!(fabs(spacing[i] - length) <= 1e-3 * length) && header->grid.n[2 - i] > 1)
            st = volt_image_warn(header,
                                 "pixdim[%d] is %g, but the sform's spacing along %c is %g; "
                                 "the sform is used",
                                 i + 1, spacing[i], axis_name[i], length);
    }
    if (st == VOLT_OK && h->qform_code > 0 && !usable)
        st = volt_image_warn(header, "the qform is unusable; the sform is used");
    if (st == VOLT_OK && h->qform_code > 0 && usable) {
        const affine from_q = qform_of(h, spacing);
        const double apart = disagreement(s, &from_q, &header->grid);
        if (apart > 1e-2 * column_length(s, 0))
            st = volt_image_warn(header,
                                 "qform and sform place corners up to %.4g apart; the sform "
                                 "is used",
                                 apart);
    }
    return st;
}

/* mm per unit of length. */
static volt_status unit_of(volt_image_header *header)
{
    static const double scale[8] = {1, 1e3, 1, 1e-3, 1, 1, 1, 1};
    const int code = header->raw->h.xyzt_units & 7;

    header->unit_mm = scale[code];
    if (code == NIFTI_UNITS_MM)
        return VOLT_OK;
    if (code == NIFTI_UNITS_METER || code == NIFTI_UNITS_MICRON)
        return volt_image_warn(header, "lengths are in %s; they are converted to mm",
                               code == NIFTI_UNITS_METER ? "metres" : "micrometres");
    if (code == NIFTI_UNITS_UNKNOWN)
        return volt_image_warn(header, "the unit of length is not given; mm is assumed");
    return volt_image_warn(header, "the unit of length has the unknown code %d; mm is assumed",
                           code);
}

static volt_status read_sform(affine *a, volt_image_header *header, const char *path)
{
    volt_status st = VOLT_OK;

    *a = sform_of(&header->raw->h);
    VOLT_TRY(st, done, complete_slice(a, header));
    VOLT_TRY(st, done, check_affine(a, "sform", path));
    VOLT_TRY(st, done, note_sform_warnings(header, a));
done:
    return st;
}

static volt_status read_qform(affine *a, volt_image_header *header, const char *path)
{
    const nifti_2_header *h = &header->raw->h;
    double spacing[3];
    volt_status st = VOLT_OK;

    VOLT_TRY(st, done, spacing_of(spacing, header, path));
    VOLT_TRY(st, done, check_quaternion(h, path));
    *a = qform_of(h, spacing);
    VOLT_TRY(st, done, check_affine(a, "qform", path));
    if (h->pixdim[0] != 1 && h->pixdim[0] != -1)
        st = volt_image_warn(header, "pixdim[0] is %g; it is taken as %s", h->pixdim[0],
                             h->pixdim[0] < 0 ? "-1 (z reversed)" : "1");
done:
    return st;
}

static volt_status read_noform(affine *a, volt_image_header *header, const char *path)
{
    double spacing[3];
    volt_status st = VOLT_OK;

    VOLT_TRY(st, done, spacing_of(spacing, header, path));
    *a = noform_of(&header->grid, spacing);
    VOLT_TRY(st, done, check_affine(a, "spacing", path));
    st =
        volt_image_warn(header, "neither qform nor sform is set, so which side is left is "
                                "unknown; x is assumed to increase to the left, as in nibabel");
done:
    return st;
}

volt_status volt_nifti_read_geometry(volt_image_header *header, const char *path)
{
    const nifti_2_header *h = &header->raw->h;
    affine a;
    volt_status st = VOLT_OK;

    header->qform_code = h->qform_code;
    header->sform_code = h->sform_code;
    VOLT_TRY(st, done, unit_of(header));
    if (h->qform_code < 0 || h->qform_code > 5 || h->sform_code < 0 || h->sform_code > 5)
        VOLT_TRY(st, done,
                 volt_image_warn(header, "qform_code %d and sform_code %d; 0 to 5 are defined",
                                 h->qform_code, h->sform_code));
    if (h->sform_code > 0) {
        header->geometry_source = VOLT_GEOMETRY_SFORM;
        VOLT_TRY(st, done, read_sform(&a, header, path));
    } else if (h->qform_code > 0) {
        header->geometry_source = VOLT_GEOMETRY_QFORM;
        VOLT_TRY(st, done, read_qform(&a, header, path));
    } else {
        header->geometry_source = VOLT_GEOMETRY_NOFORM;
        VOLT_TRY(st, done, read_noform(&a, header, path));
    }
    if (largest_cosine(&a) > 1e-3)
        VOLT_TRY(st, done,
                 volt_image_warn(header,
                                 "the axes are not at right angles (cosine %.3g); ITK refuses "
                                 "such files",
                                 largest_cosine(&a)));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            header->grid.to_world[i][j] = a.m[i][j] * header->unit_mm;
    st = volt_grid_check(&header->grid, path);
done:
    return st;
}

/* -- Writing ------------------------------------------------------------------------------ */

static void set_sform(nifti_2_header *h, const affine *a, int code)
{
    h->sform_code = code;
    memcpy(h->srow_x, a->m[0], sizeof h->srow_x);
    memcpy(h->srow_y, a->m[1], sizeof h->srow_y);
    memcpy(h->srow_z, a->m[2], sizeof h->srow_z);
}

/* Also sets pixdim[0..3]. A quaternion cannot represent shear: a sheared matrix becomes the
 * nearest rotation, with code 0. */
static void set_qform(nifti_2_header *h, const affine *a, int code)
{
    nifti_dmat44 m = {0};

    memcpy(m.m, a->m, sizeof a->m);
    m.m[3][3] = 1;
    nifti_dmat44_to_quatern(m, &h->quatern_b, &h->quatern_c, &h->quatern_d, &h->qoffset_x,
                            &h->qoffset_y, &h->qoffset_z, &h->pixdim[1], &h->pixdim[2],
                            &h->pixdim[3], &h->pixdim[0]);
    h->qform_code = largest_cosine(a) > 1e-4 ? 0 : code;
}

/* moved = form * inverse(old) * new: the form of the old grid, moved to the new one. */
static affine carry_over(const affine *form, const affine *old, const affine *new)
{
    nifti_dmat44 f = {0}, o = {0}, n = {0}, moved;
    affine out;

    memcpy(f.m, form->m, sizeof form->m);
    memcpy(o.m, old->m, sizeof old->m);
    memcpy(n.m, new->m, sizeof new->m);
    f.m[3][3] = o.m[3][3] = n.m[3][3] = 1;
    moved = nifti_dmat44_mul(f, nifti_dmat44_mul(nifti_dmat44_inverse(o), n));
    memcpy(out.m, moved.m, sizeof out.m);
    return out;
}

/* The source's qform, which may differ from its sform, moved to the grid `new`; false: it is
 * unusable. */
static bool move_qform(affine *out, const nifti_2_header *h, const volt_image_header *source,
                       const affine *new)
{
    const double mm = source->unit_mm;
    const double spacing[3] = {h->pixdim[1] * mm, h->pixdim[2] * mm, h->pixdim[3] * mm};
    nifti_2_header in_mm = *h;
    affine old, form;

    in_mm.qoffset_x *= mm;
    in_mm.qoffset_y *= mm;
    in_mm.qoffset_z *= mm;
    form = qform_of(&in_mm, spacing);
    memcpy(old.m, source->grid.to_world, sizeof old.m);
    form = carry_over(&form, &old, new);
    *out = all_finite(&form.m[0][0], 12) ? form : *new;
    return all_finite(&form.m[0][0], 12);
}

void volt_nifti_write_geometry(nifti_2_header *h, const volt_grid *grid,
                               const volt_image_header *source)
{
    affine new, form;

    memcpy(new.m, grid->to_world, sizeof new.m);
    h->xyzt_units = (h->xyzt_units & ~7) | NIFTI_UNITS_MM;
    if (source && source->geometry_source == VOLT_GEOMETRY_SFORM && h->qform_code > 0) {
        const int qform_code = move_qform(&form, h, source, &new) ? h->qform_code : 0;
        set_qform(h, &form, qform_code);
        for (int i = 0; i < 3; i++)
            h->pixdim[i + 1] = column_length(&new, i);
        set_sform(h, &new, h->sform_code);
    } else if (source && source->geometry_source == VOLT_GEOMETRY_QFORM) {
        const int code = h->qform_code;
        set_qform(h, &new, code);
        set_sform(h, &new, h->qform_code ? 0 : code);
    } else {
        /* The source has an sform alone, or neither: setting both serves every reader. */
        const int code = source && h->sform_code > 0 ? h->sform_code : 1;
        const int keep = source && h->sform_code > 0 ? 0 : code;
        set_qform(h, &new, keep);
        set_sform(h, &new, code);
    }
}
